"""A session, and what a bearer secret resolves to."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from keybearer.kit.principal import Principal

LIFETIME = timedelta(days=30)
IDLE = timedelta(days=7)
# Last use reaches the database up to this much late, so the idle limit is enforced this much later.
IDLE_SLACK = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Session:
    id: UUID
    user_id: UUID
    provider: str
    device: str
    address: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Proof:
    """When whoever uses a session last proved who they are, and by what: a factor, or `provider`."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was made just now. The token goes to whoever signed in, and is not kept."""

    id: UUID
    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says, once its signature and form were found good."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    expires_at: datetime


@dataclass(frozen=True)
class Resolved:
    """What a token stands for: a person's session, their program, their API key, or an agent's grant.

    `kind` is `session`, `access` (an access token of a session), `api_key` or `grant`. `subject_id` is the session's,
    the key's or the grant's id.
    """

    kind: str
    digest: bytes = field(repr=False)
    tenant_id: UUID
    tenant_name: str
    subject_id: UUID
    user_id: UUID
    expires_at: datetime
    disabled: bool
    email: str | None
    name: str
    avatar_url: str | None
    role: str
    authenticated_at: datetime
    last_seen_at: datetime | None
    agent: str | None = None
    scopes: tuple[str, ...] | None = None
    connections: tuple[tuple[UUID, str], ...] = ()

    @property
    def usable_until(self) -> datetime:
        """When it expires, or has been idle for too long if nothing more is known of its use."""
        if self.kind not in {"session", "access"} or self.last_seen_at is None:
            return self.expires_at
        return min(self.expires_at, self.last_seen_at + IDLE + IDLE_SLACK)

    @property
    def principal(self) -> Principal:
        return Principal(
            tenant_id=self.tenant_id,
            user_id=self.user_id,
            session_id=self.subject_id,
            email=self.email,
            name=self.name,
            avatar_url=self.avatar_url,
            role=self.role,
            tenant_name=self.tenant_name,
            expires_at=self.expires_at,
            authenticated_at=self.authenticated_at,
            credential=self.kind,
        )

    @cached_property
    def me_body(self) -> bytes:
        """The answer of `GET /api/auth/me`, made once and served from memory."""
        return me_body(self.principal)


def me_body(principal: Principal) -> bytes:
    """Who is signed in, as the wire says it."""
    return json.dumps(_me(principal), separators=(",", ":")).encode()


def _me(principal: Principal) -> dict[str, Any]:
    return {
        "id": str(principal.user_id),
        "email": principal.email,
        "name": principal.name,
        "avatar_url": principal.avatar_url,
        "roles": list(principal.roles),
        "tenant": {"id": str(principal.tenant_id), "name": principal.tenant_name},
        "session": {"id": str(principal.session_id), "expires_at": principal.expires_at.isoformat()},
    }
