"""Keeps the answer to a refresh so that only the holder of the presented token can read it (rule R3)."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_INFO = b"keybearer refresh replay 1"
_NONCE_BYTES = 12


def seal(token: str, digest: bytes, answer: bytes) -> bytes:
    """`digest` binds it to its row."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_key(token)).encrypt(nonce, answer, digest)


def open_sealed(token: str, digest: bytes, sealed: bytes) -> bytes | None:
    try:
        return AESGCM(_key(token)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], digest)
    except InvalidTag:
        return None


def _key(token: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(token.encode())
