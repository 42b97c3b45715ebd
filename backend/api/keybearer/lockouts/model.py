"""The rule, and what it counts by.

Five wrong guesses lock for a quarter of an hour, and each later lock lasts twice as long. What is counted is a bucket:
one account, one method, one kind of source. Whoever comes with a browser or from an address that the person came in
with before has a bucket of their own, so that the guesses of strangers, who share one, cannot keep the owner out.
"""

import hashlib
import ipaddress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Method = Literal["password", "totp", "recovery_code"]

STRANGERS = b""
_IPV6_NETWORK = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """`tries` wrong ones lock for `first`, doubled at each lock up to `longest`; peace for `forgets` undoes it."""

    tries: int
    first: timedelta
    longest: timedelta
    forgets: timedelta


_GUESSES = Rule(5, timedelta(minutes=15), timedelta(hours=24), timedelta(hours=24))
RULES: dict[Method, Rule] = {
    "password": _GUESSES,
    "totp": _GUESSES,
    # What gets through the other locks has to have a limit of its own.
    "recovery_code": Rule(5, timedelta(hours=1), timedelta(hours=1), timedelta(hours=1)),
}


@dataclass(frozen=True, slots=True)
class Tally:
    """`failures` since the last lock or right guess, `locks` since the last peace."""

    failures: int
    locks: int
    failed_at: datetime
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """`digest` stands for somebody who may not exist: an unknown address is counted like a known one."""

    tenant_id: UUID
    digest: bytes
    user_id: UUID | None

    @classmethod
    def of_user(cls, tenant_id: UUID, user_id: UUID) -> "Account":
        return cls(tenant_id, _digest(tenant_id, "user", user_id), user_id)

    @classmethod
    def of_nobody(cls, tenant_id: UUID, email: str) -> "Account":
        """For an email that nobody here has."""
        return cls(tenant_id, _digest(tenant_id, "email", email.strip().lower()), None)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a guess comes from: the secret in the browser's cookie, and the address."""

    device: str | None = field(repr=False)
    address: str | None

    def digests(self, account: Account) -> list[bytes]:
        """The browser's first, because others may share an address. Bound to the account, so none can be compared."""
        found = [_digest(account.digest.hex(), "address", _network(self.address))]
        if self.device is not None:
            found.insert(0, _digest(account.digest.hex(), "device", self.device))
        return found


@dataclass(frozen=True, slots=True)
class Attempt:
    """A guess that was counted before it is looked at. `locks`: it is the one that locks, should it be wrong."""

    account: Account
    method: Method
    bucket: bytes
    locks: bool


def locked_for(tally: Tally | None, now: datetime) -> timedelta | None:
    if tally is None or tally.locked_until is None or tally.locked_until <= now:
        return None
    return tally.locked_until - now


def counted(rule: Rule, tally: Tally | None, now: datetime) -> Tally:
    """After one more wrong guess. Nobody guesses while it is locked."""
    if tally is None or _is_forgotten(rule, tally, now):
        tally = Tally(0, 0, now)
    tally = replace(tally, failures=tally.failures + 1, failed_at=now, locked_until=None)
    if tally.failures < rule.tries:
        return tally
    # Bounded first: a power of a large number would not fit into a time.
    length = min(rule.longest, rule.first * 2 ** min(tally.locks, 16))
    return Tally(failures=0, locks=tally.locks + 1, failed_at=now, locked_until=now + length)


def taken_back(attempt: Attempt, tally: Tally) -> Tally:
    """The tally without that guess; the lock that it brought goes with it."""
    if attempt.locks:
        return replace(
            tally, failures=RULES[attempt.method].tries - 1, locks=max(0, tally.locks - 1), locked_until=None
        )
    return replace(tally, failures=max(0, tally.failures - 1))


def _is_forgotten(rule: Rule, tally: Tally, now: datetime) -> bool:
    return max(tally.failed_at, tally.locked_until or tally.failed_at) + rule.forgets <= now


def _network(address: str | None) -> str:
    """Whoever has an IPv6 address has a network of them (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network(f"{parsed}/{_IPV6_NETWORK}", strict=False))


def _digest(*parts: object) -> bytes:
    return hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()
