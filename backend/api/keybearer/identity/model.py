"""A person and their identities."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

# Who may make an account: anybody, who was invited, nobody.
OPEN, INVITE, CLOSED = "open", "invite", "closed"


@dataclass(frozen=True, slots=True)
class User:
    tenant_id: UUID
    id: UUID
    email: str | None
    email_verified: bool
    name: str
    avatar_url: str | None
    role: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class Identity:
    id: UUID
    user_id: UUID
    provider: str
    issuer: str
    subject: str
    email: str | None
    created_at: datetime
    last_sign_in_at: datetime | None


@dataclass(frozen=True, slots=True)
class Presented:
    """What a provider proved about whoever signed in just now."""

    provider: str
    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    name: str
    avatar_url: str | None
