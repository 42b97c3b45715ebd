"""Connections as the rest of the product sees them, and the rules that need nothing but their fields."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from keybearer.vault.sealing import WrappedKey

State = Literal["active", "expiring", "needs_reconnect", "revoked"]

VALID_FOR = timedelta(seconds=60)
EXPIRING = timedelta(days=30)
REMINDER_DAYS = (30, 7, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One account of one person at one provider. `state` is what is stored; people are shown `state_at`."""

    id: UUID
    tenant_id: UUID
    user_id: UUID
    provider: str
    account_id: str
    account_name: str
    state: str
    state_reason: str | None
    scopes: tuple[str, ...]
    access_expires_at: datetime | None
    grant_expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    epoch: int
    dek_id: UUID
    reminded_days: int | None = None

    def state_at(self, now: datetime) -> State:
        if self.state == "revoked":
            return "revoked"
        if self.state == "needs_reconnect":
            return "needs_reconnect"
        if self.grant_expires_at is not None and self.grant_expires_at - now <= EXPIRING:
            return "expiring"
        return "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What one hot read brings: the access token still sealed, and the data key that opens it, still wrapped."""

    tenant_id: UUID
    connection_id: UUID
    user_id: UUID
    provider: str
    account_name: str
    state: str
    state_reason: str | None
    scopes: tuple[str, ...]
    access_token: bytes | None
    access_expires_at: datetime | None
    epoch: int
    refreshable: bool
    key: WrappedKey

    def valid_at(self, now: datetime) -> bool:
        """Whether the token lives long enough for a caller to use it (decision D9)."""
        if self.access_token is None:
            return False
        return self.access_expires_at is None or self.access_expires_at - now >= VALID_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A usable credential: the header that carries it upstream, and what the ledger needs to say whose it was."""

    connection_id: UUID
    user_id: UUID
    provider: str
    account_name: str
    scopes: tuple[str, ...]
    epoch: int
    expires_at: datetime | None
    header: str
    value: str = field(repr=False)
    key: WrappedKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """One that its owner takes out."""

    value: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The opened columns. For providers with a form, the fields as JSON are where the lasting secret is."""

    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)


def reminder_due(grant_expires_at: datetime, reminded_days: int | None, now: datetime) -> int | None:
    """The latest of the reminder days that has come and was not said yet; 0 once the consent is over.

    A connection found late gets one reminder, not all that were missed.
    """
    left = grant_expires_at - now
    due = [days for days in (*REMINDER_DAYS, 0) if left <= timedelta(days=days)]
    if not due or (reminded_days is not None and reminded_days <= due[-1]):
        return None
    return due[-1]


def granted_scopes(
    granted: tuple[str, ...] | None, requested: tuple[str, ...], earlier: tuple[str, ...], *, keeps_earlier: bool
) -> tuple[str, ...]:
    """What a consent gave. An answer that names no scopes granted what was asked (RFC 6749 section 5.1)."""
    if granted is not None:
        return granted
    if not keeps_earlier:
        return requested
    return tuple(dict.fromkeys((*earlier, *requested)))
