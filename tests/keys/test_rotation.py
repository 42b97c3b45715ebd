"""Keys that change under a running process: what it takes, what it refuses, and what it finds by itself."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from keybearer.keys import keyring, signing
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.service import Keys
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.tenancy.model import DEFAULT_ID as TENANT
from sqlalchemy import text

PLACE = Place("connections", "row", "access_token")


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    add(tmp_path, "k1")
    promote(tmp_path, "k1")
    return tmp_path


@pytest.fixture
async def keys(db: Database, ring: Path) -> Keys:
    return await started(db, ring)


async def started(db: Database, ring: Path) -> Keys:
    keys = Keys(keyring.load(ring), read=lambda: keyring.load(ring))
    await keys.start(db)
    return keys


def add(ring: Path, key_id: str) -> None:
    (ring / key_id).write_text(base64.b64encode(os.urandom(32)).decode())


def promote(ring: Path, key_id: str) -> None:
    (ring / "primary").write_text(key_id)


def person() -> Owner:
    return Owner.user(TENANT, uuid4())


async def kek_of(db: Database, owner: Owner) -> str:
    async with db.transaction(TENANT) as tx:
        query = text("SELECT kek_id FROM data_keys WHERE owner_id = :owner")
        return str((await tx.execute(query, {"owner": owner.id})).scalar_one())


async def seal(db: Database, keys: Keys, owner: Owner) -> bytes:
    async with db.transaction(TENANT) as tx:
        _, sealed = await keys.seal(tx, owner, PLACE, b"token")
    return sealed


async def opens(db: Database, keys: Keys, owner: Owner, sealed: bytes) -> bool:
    async with db.transaction(TENANT) as tx:
        return await keys.open(tx, owner, PLACE, sealed) == b"token"


async def test_a_staged_key_decrypts_and_a_promoted_one_encrypts(db: Database, keys: Keys, ring: Path) -> None:
    old, new = person(), person()
    sealed = await seal(db, keys, old)
    add(ring, "k2")
    assert await keys.take(db, keyring.load(ring))
    assert not await keys.take(db, keyring.load(ring)), "nothing differs any more"
    promote(ring, "k2")
    assert await keys.take(db, keyring.load(ring))
    assert keys.keyring.revision == keyring.load(ring).revision
    fresh = await seal(db, keys, new)
    assert await kek_of(db, old) == "k1"
    assert await kek_of(db, new) == "k2"
    assert await opens(db, keys, old, sealed)
    assert await opens(db, keys, new, fresh)


def without_the_key(ring: Path) -> None:
    add(ring, "k2")
    promote(ring, "k2")
    (ring / "k1").unlink()


def with_other_bytes(ring: Path) -> None:
    add(ring, "k1")


@pytest.mark.parametrize("damage", [without_the_key, with_other_bytes])
async def test_a_key_in_use_that_is_gone_is_refused_and_used_on(
    db: Database, keys: Keys, ring: Path, damage: Callable[[Path], None]
) -> None:
    owner = person()
    sealed = await seal(db, keys, owner)
    kept = (ring / "k1").read_text()
    damage(ring)
    with pytest.raises(ConfigurationError, match="k1"):
        await keys.take(db, keyring.load(ring))
    assert await opens(db, keys, owner, sealed)
    (ring / "k1").write_text(kept)
    await keys.take(db, keyring.load(ring))
    assert await opens(db, keys, owner, sealed)


async def test_whoever_lags_behind_reads_the_keyring_for_a_key_it_does_not_know(db: Database, ring: Path) -> None:
    """Another process was told first; both work on the same rows at once."""
    ahead, behind, owner = await started(db, ring), await started(db, ring), person()
    add(ring, "k2")
    promote(ring, "k2")
    await ahead.take(db, keyring.load(ring))
    sealed = await seal(db, ahead, owner)
    assert await opens(db, behind, owner, sealed)


async def test_whoever_lags_behind_encrypts_under_no_retired_key(db: Database, ring: Path) -> None:
    ahead, behind, owner = await started(db, ring), await started(db, ring), person()
    add(ring, "k2")
    promote(ring, "k2")
    await ahead.take(db, keyring.load(ring))
    async with db.transaction(None) as tx:
        await tx.execute(text("DELETE FROM keks WHERE id = 'k1'"))
    sealed = await seal(db, behind, owner)
    assert await kek_of(db, owner) == "k2"
    assert await opens(db, ahead, owner, sealed)


def sign_key(folder: Path, key_id: str) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / key_id).write_bytes(pem)


def test_a_signing_key_goes_and_its_public_half_stays(tmp_path: Path) -> None:
    sign_key(tmp_path, "s1")
    promote(tmp_path, "s1")
    signers = signing.load(tmp_path)
    early = signers.sign(b"early")
    sign_key(tmp_path, "s2")
    promote(tmp_path, "s2")
    assert signers.take(signing.load(tmp_path))
    assert not signers.take(signing.load(tmp_path))
    assert signers.verify("s2", signers.sign(b"late"), b"late")

    public = signers.public["s1"].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "s1").unlink()
    with pytest.raises(ConfigurationError, match=r"s1\.pub"):
        signers.take(signing.load(tmp_path))
    (tmp_path / "s1.pub").write_bytes(public)
    assert signers.take(signing.load(tmp_path))
    assert signers.verify("s1", early, b"early")
    assert signers.revision == signing.load(tmp_path).revision
