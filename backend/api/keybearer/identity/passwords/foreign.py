"""Verifies hashes that came from elsewhere: bcrypt, PBKDF2 and scrypt, as common frameworks write them.

They are never made here. A person's first sign-in replaces theirs. Costs are bounded, because whoever supplies a hash
decides how long each try takes.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable

import bcrypt

_BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
_MOST_BCRYPT_COST = 15
_MOST_ROUNDS = 5_000_000
_MOST_SCRYPT_BYTES = 256 * 1024 * 1024
_DJANGO_PBKDF2 = re.compile(r"pbkdf2_(sha1|sha256|sha512)\$(\d{1,8})\$([^$]+)\$([A-Za-z0-9+/=]+)")
_PBKDF2 = re.compile(
    r"\$pbkdf2-(sha1|sha256|sha512)\$(?:i=)?(\d{1,8})(?:,l=\d+)?\$([A-Za-z0-9+/.=]+)\$([A-Za-z0-9+/.=]+)"
)
_SCRYPT = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/.=]+)\$([A-Za-z0-9+/.=]+)")
_DJANGO_SCRYPT = re.compile(r"scrypt\$([^$]+)\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/=]+)")
_WERKZEUG_SCRYPT = re.compile(r"scrypt:(\d{1,8}):(\d{1,3}):(\d{1,3})\$([^$]+)\$([0-9a-f]+)")


def is_usable(encoded: str) -> bool:
    """Whether `verify` would look at it: of a known kind, and of a cost within reason."""
    for pattern, _ in _KINDS:
        if pattern.fullmatch(encoded) is not None:
            return not _is_past_reason(encoded)
    return False


def verify(password: str, encoded: str) -> bool:
    """False also for what is no hash, or one of an unknown kind or of a cost past every reason."""
    for pattern, check in _KINDS:
        found = pattern.fullmatch(encoded)
        if found is not None:
            try:
                return check(password.encode(), found)
            except (ValueError, binascii.Error):
                return False
    return False


def _is_past_reason(encoded: str) -> bool:
    """Its costs, without the work."""
    if found := _BCRYPT.fullmatch(encoded):
        return int(found[1]) > _MOST_BCRYPT_COST
    if found := _PBKDF2.fullmatch(encoded) or _DJANGO_PBKDF2.fullmatch(encoded):
        return not 0 < int(found[2]) <= _MOST_ROUNDS
    if found := _SCRYPT.fullmatch(encoded):
        return not _scrypt_is_bounded(1 << int(found[1]), int(found[2]), int(found[3]))
    if found := _DJANGO_SCRYPT.fullmatch(encoded):
        return not _scrypt_is_bounded(int(found[2]), int(found[3]), int(found[4]))
    found = _WERKZEUG_SCRYPT.fullmatch(encoded)
    return found is None or not _scrypt_is_bounded(int(found[1]), int(found[2]), int(found[3]))


def _scrypt_is_bounded(size: int, block: int, lanes: int) -> bool:
    return 0 < 128 * size * block * max(lanes, 1) <= _MOST_SCRYPT_BYTES


def _bcrypt(password: bytes, found: "re.Match[str]") -> bool:
    """It never looked at more than 72 bytes."""
    return int(found[1]) <= _MOST_BCRYPT_COST and bcrypt.checkpw(password[:72], found[0].encode())


def _pbkdf2(password: bytes, found: "re.Match[str]") -> bool:
    return _pbkdf2_fits(password, found[1], int(found[2]), _decoded(found[3]), _decoded(found[4]))


def _django_pbkdf2(password: bytes, found: "re.Match[str]") -> bool:
    return _pbkdf2_fits(password, found[1], int(found[2]), found[3].encode(), _decoded(found[4]))


def _pbkdf2_fits(password: bytes, digest: str, rounds: int, salt: bytes, expected: bytes) -> bool:
    if not 0 < rounds <= _MOST_ROUNDS or not expected:
        return False
    return hmac.compare_digest(hashlib.pbkdf2_hmac(digest, password, salt, rounds, len(expected)), expected)


def _scrypt(password: bytes, found: "re.Match[str]") -> bool:
    size, block, lanes = 1 << int(found[1]), int(found[2]), int(found[3])
    return _scrypt_fits(password, size, block, lanes, _decoded(found[4]), _decoded(found[5]))


def _django_scrypt(password: bytes, found: "re.Match[str]") -> bool:
    size, block, lanes = int(found[2]), int(found[3]), int(found[4])
    return _scrypt_fits(password, size, block, lanes, found[1].encode(), _decoded(found[5]))


def _werkzeug_scrypt(password: bytes, found: "re.Match[str]") -> bool:
    size, block, lanes = int(found[1]), int(found[2]), int(found[3])
    return _scrypt_fits(password, size, block, lanes, found[4].encode(), bytes.fromhex(found[5]))


def _scrypt_fits(password: bytes, size: int, block: int, lanes: int, salt: bytes, expected: bytes) -> bool:
    memory = 128 * size * block
    if not _scrypt_is_bounded(size, block, lanes) or not expected:
        return False
    made = hashlib.scrypt(
        password, salt=salt, n=size, r=block, p=lanes, maxmem=2 * memory + (1 << 20), dklen=len(expected)
    )
    return hmac.compare_digest(made, expected)


def _decoded(text: str) -> bytes:
    """Base64, also as passlib writes it: dots for plus signs, and nothing at the end."""
    plain = text.replace(".", "+").rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


_KINDS: tuple[tuple["re.Pattern[str]", Callable[[bytes, "re.Match[str]"], bool]], ...] = (
    (_BCRYPT, _bcrypt),
    (_PBKDF2, _pbkdf2),
    (_DJANGO_PBKDF2, _django_pbkdf2),
    (_SCRYPT, _scrypt),
    (_DJANGO_SCRYPT, _django_scrypt),
    (_WERKZEUG_SCRYPT, _werkzeug_scrypt),
)
