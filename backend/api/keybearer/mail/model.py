"""A mail, the server that takes it, and when it is tried again."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import unquote, urlsplit
from uuid import UUID

from keybearer.kit.settings import is_loopback

_FIRST_WAIT = timedelta(seconds=15)
_LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Message:
    """What a person reads. `kind` is what metrics call it; `lifetime` is how long it is worth sending."""

    kind: str
    subject: str
    text: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way."""

    tenant_id: UUID
    id: UUID
    kind: str
    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed in. Without TLS only on this machine: a mail holds links that sign people in."""

    host: str
    port: int | None
    username: str | None
    password: str | None = field(repr=False)
    use_tls: bool
    start_tls: bool

    @classmethod
    def of(cls, url: str) -> "Server":
        """From `smtp://user:password@host:587` or `smtps://…`, of which settings have made sure."""
        parts = urlsplit(url)
        host, use_tls = parts.hostname or "", parts.scheme == "smtps"
        return cls(
            host=host,
            port=parts.port,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            use_tls=use_tls,
            start_tls=not use_tls and not is_loopback(host),
        )


def wait_after(attempts: int, chance: float) -> timedelta:
    """15 s, 30 s, 1 min … 1 h, up to a quarter longer: `chance` from 0 to 1 keeps many from coming at once."""
    doublings: int = min(max(attempts - 1, 0), 16)
    return min(_FIRST_WAIT * 2.0**doublings, _LONGEST_WAIT) * (1 + chance / 4)
