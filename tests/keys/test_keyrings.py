"""Keyrings from directories: what is accepted, and every way in which a process refuses to start (D7)."""

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from keybearer.keys import keyring, signing
from keybearer.keys.errors import UnknownKey
from keybearer.kit.errors import ConfigurationError


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def key() -> bytes:
    return base64.b64encode(os.urandom(32)) + b"\n"


def test_several_keys_live_at_once(tmp_path: Path) -> None:
    ring = keyring.load(written(tmp_path, {"k1": key(), "k2": key(), "primary": b"k2\n", "..data": b""}))
    assert ring.primary == "k2"
    assert sorted(ring.keys) == ["k1", "k2"]
    with pytest.raises(UnknownKey):
        ring.key("k3")


def test_the_revision_changes_with_keys_and_primary_and_tells_nothing(tmp_path: Path) -> None:
    first, second = key(), key()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = keyring.load(written(tmp_path / "a", {"k1": first, "k2": second, "primary": b"k1"}))
    other = keyring.load(written(tmp_path / "b", {"k1": first, "k2": second, "primary": b"k2"}))
    assert one.revision != other.revision
    assert len(one.revision) == 64
    assert first.decode().strip() not in repr(one)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "cannot be read"),
        ({"primary": b"k1"}, "no such file"),
        ({"k1": b"not base64!", "primary": b"k1"}, "not readable base64"),
        ({"k1": base64.b64encode(b"short"), "primary": b"k1"}, "5 bytes instead of 32"),
        ({"k1": base64.b64encode(bytes(32)), "primary": b"k1"}, "not random"),
        ({"k1": base64.b64encode(b"changeme" * 4), "primary": b"k1"}, "not random"),
        ({"k 1": key(), "primary": b"k 1"}, "not a key id"),
    ],
)
def test_an_unsafe_keyring_is_refused(tmp_path: Path, files: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        keyring.load(written(tmp_path, files))
    assert "KEYBEARER_KEYRING_DIR" in str(caught.value)


def pem(private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_retired_signing_key_still_verifies(tmp_path: Path) -> None:
    old, new = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    public = old.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ring = signing.load(written(tmp_path, {"k1.pub": public, "k2": pem(new), "primary": b"k2"}))
    assert ring.verify("k1", old.sign(b"batch"), b"batch")
    assert ring.verify("k2", ring.sign(b"batch"), b"batch")
    assert not ring.verify("k2", old.sign(b"batch"), b"batch")
    assert not ring.verify("k3", ring.sign(b"batch"), b"batch")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"k1": b"junk", "primary": b"k1"}, "not an Ed25519 key"),
        ({"k1": pem(ec.generate_private_key(ec.SECP256R1())), "primary": b"k1"}, "not an Ed25519 key"),
        ({"k1": pem(ed25519.Ed25519PrivateKey.generate()), "primary": b"k2"}, "no such private key"),
    ],
)
def test_an_unusable_signing_keyring_is_refused(tmp_path: Path, files: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        signing.load(written(tmp_path, files))
