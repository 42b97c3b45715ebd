"""What a program holds after a sign-in, and for how long."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

# A client that lost the answer asks again within this, and gets the same one.
REPLAY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """A refresh token lives for `idle`, each new one again, and all of a sign-in for `absolute`."""

    access: timedelta = timedelta(minutes=30)
    idle: timedelta = timedelta(days=7)
    absolute: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Pair:
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int

    def encoded(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def decoded(cls, text: bytes) -> "Pair":
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Family:
    id: UUID
    user_id: UUID
    session_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that came back. `now` is the database's, whose clock all processes share."""

    now: datetime
    expires_at: datetime
    used_at: datetime | None
    replay: bytes | None = field(repr=False)

    @property
    def expired(self) -> bool:
        return self.expires_at <= self.now

    @property
    def may_be_replayed(self) -> bool:
        return self.used_at is not None and self.replay is not None and self.now - self.used_at <= REPLAY
