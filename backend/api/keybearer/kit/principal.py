"""Who is calling: the one value that every domain's routes receive."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in person, resolved from a session cookie or bearer token.

    `credential` says which: `session`, `access` (a program's access token) or `api_key`, whose id is then in
    `session_id`.
    """

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    email: str | None
    name: str
    avatar_url: str | None
    role: str
    tenant_name: str
    expires_at: datetime
    authenticated_at: datetime
    credential: str = "session"

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.role,)
