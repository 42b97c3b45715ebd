"""A factor, and the rules of codes that need nothing but their values."""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import pyotp

Kind = Literal["totp", "passkey"]
# What a person may show: a second factor, or what stands in for a lost one.
Way = Literal["password", "totp", "recovery_code", "passkey"]

FRESH_FOR = timedelta(minutes=15)
CHALLENGE_LIFETIME = timedelta(minutes=5)
# A seed that nobody confirmed is of no use to anybody.
UNCONFIRMED_LIFETIME = timedelta(hours=1)
RECOVERY_CODES = 10

_STEP_SECONDS = 30
_CODE = re.compile(r"[0-9]{6}")
# Crockford's base 32: no two of its characters are mistaken for one another.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_MISREAD = str.maketrans({"i": "1", "l": "1", "o": "0", "-": None, " ": None})
_SELECTOR = 2
_SECRET = 10


@dataclass(frozen=True, slots=True)
class Factor:
    id: UUID
    kind: Kind
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A code that somebody typed."""

    way: Literal["totp", "recovery_code"]
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Seed:
    """One row of TOTP, its seed still sealed."""

    id: UUID
    sealed: bytes = field(repr=False)
    last_step: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """`selector` finds its row, so that one code is compared with one hash and not with ten."""

    selector: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, selectors: set[str]) -> "RecoveryCode":
        """With a selector that is none of those."""
        while (selector := _random(_SELECTOR)) in selectors:
            pass
        return cls(selector, _random(_SECRET))

    @classmethod
    def read(cls, typed: str) -> "RecoveryCode | None":
        """However somebody wrote it down; None for what cannot be one."""
        text = typed.lower().translate(_MISREAD)
        if len(text) != _SELECTOR + _SECRET or not set(text) <= set(_ALPHABET):
            return None
        return cls(text[:_SELECTOR], text[_SELECTOR:])

    @property
    def text(self) -> str:
        """As it is shown: `k3m9-x0qa-7vtz`."""
        whole = self.selector + self.secret
        return "-".join(whole[n : n + 4] for n in range(0, len(whole), 4))


@dataclass(frozen=True, slots=True)
class Passkey:
    """A credential that an authenticator keeps (WebAuthn)."""

    id: UUID
    user_id: UUID
    credential_id: bytes
    public_key: bytes
    sign_count: int


def new_seed() -> str:
    """160 bits in Base32, as RFC 4226 asks for."""
    return pyotp.random_base32()


def totp_steps(seed: str, code: str, at: datetime) -> list[int]:
    """The time steps that the code belongs to: this one, the one before, the one after (RFC 6238 section 5.2)."""
    if not _CODE.fullmatch(code):
        return []
    totp, now = pyotp.TOTP(seed), int(at.timestamp()) // _STEP_SECONDS
    return [step for step in (now - 1, now, now + 1) if hmac.compare_digest(totp.generate_otp(step), code)]


def is_fresh(proved_at: datetime, now: datetime) -> bool:
    return now - proved_at < FRESH_FOR


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
