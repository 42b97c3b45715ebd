"""New keys, and the digests by which keys are spoken of. The only module that handles a secret's bytes.

Digests and revisions are those that the backend computes from its files.
"""

import base64
import binascii
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

PUBLIC_SUFFIX: Final = ".pub"
_AES_BYTES = 32


class Unusable(Exception):
    """The message names the entry and what it should be, never what it is."""


def new_encryption_key() -> bytes:
    return base64.b64encode(os.urandom(_AES_BYTES)) + b"\n"


def new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_password() -> bytes:
    """256 bits in characters that need no escaping in a URL, a shell or YAML."""
    return secrets.token_urlsafe(32).encode()


def public_half(pem: bytes) -> bytes:
    """Raises Unusable."""
    return _signing_key("", pem).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def encryption_digest(name: str, entry: bytes) -> str:
    """sha256 of the 32 bytes. Raises Unusable."""
    try:
        key = base64.b64decode(entry.strip(), validate=True)
    except binascii.Error as error:
        raise Unusable(f"The entry {name} is not base64.") from error
    if len(key) != _AES_BYTES:
        raise Unusable(f"The entry {name} is not {_AES_BYTES} bytes in base64.")
    return hashlib.sha256(key).hexdigest()


def signing_digest(name: str, entry: bytes) -> str:
    """sha256 of the file. Raises Unusable."""
    if not name.endswith(PUBLIC_SUFFIX):
        _signing_key(name, entry)
    return hashlib.sha256(entry).hexdigest()


def keyring_revision(digests: Mapping[str, str], primary: str) -> str:
    """sha256 over the sorted (id, sha256 of the key, primary) of a keyring (rule R9)."""
    rows = [[key_id, digest, key_id == primary] for key_id, digest in sorted(digests.items())]
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def content_revision(data: Mapping[str, bytes]) -> str:
    """Of a Secret without key ids. Over all entries at once: a short one cannot be guessed beside the random ones."""
    rows = [[name, hashlib.sha256(entry).hexdigest()] for name, entry in sorted(data.items())]
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def _signing_key(name: str, pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise Unusable(f"The entry {name} is not an Ed25519 key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Unusable(f"The entry {name} is not an Ed25519 key in PEM.")
    return key
