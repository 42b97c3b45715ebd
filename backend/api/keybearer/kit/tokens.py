"""Bearer secrets: a prefix, 256 random bits in base62, and a checksum that lets secret scanners recognise them.

The checksum is no security: it spares the database a look-up for strings that were never ours. Only the SHA-256 of a
token is stored.
"""

import hashlib
import secrets
import zlib

SESSION = "kbs_"
GRANT = "kbg_"
API_KEY = "kbk_"
REFRESH = "kbr_"
INVITATION = "kbi_"
LETTER = "kbm_"

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH = 43
_CHECKSUM_LENGTH = 6
_LENGTH = 4 + _RANDOM_LENGTH + _CHECKSUM_LENGTH


def new(prefix: str) -> str:
    """A fresh token, for example `kbs_` + 43 characters + 6 of CRC-32."""
    body = prefix + _base62(secrets.randbits(256), _RANDOM_LENGTH)
    return body + _checksum(body)


def is_well_formed(token: str, prefix: str) -> bool:
    """Whether the shape and checksum fit; says nothing about whether the token is known."""
    if len(token) != _LENGTH or not token.startswith(prefix) or not token.isascii():
        return False
    return _checksum(token[:-_CHECKSUM_LENGTH]) == token[-_CHECKSUM_LENGTH:]


def digest(token: str) -> bytes:
    """What is stored and looked up instead of the token."""
    return digest_of(token.encode())


def digest_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, remainder = divmod(number, 62)
        digits.append(_ALPHABET[remainder])
    return "".join(reversed(digits))
