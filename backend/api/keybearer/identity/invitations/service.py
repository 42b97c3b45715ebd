"""Invites people, and takes their invitations."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from keybearer.identity.invitations import store
from keybearer.identity.invitations.model import Invitation
from keybearer.kit import tokens
from keybearer.kit.database import Transaction

LIFETIME = timedelta(days=7)


class Invitations:
    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    async def invite(self, tx: Transaction, tenant_id: UUID, email: str, role: str) -> str:
        """The token, shown this once. An earlier invitation of the same address ends."""
        await store.remove_for(tx, tenant_id, email)
        token = tokens.new(tokens.INVITATION)
        await store.add(tx, tenant_id, uuid4(), tokens.digest(token), email, role, self._now() + LIFETIME)
        return token

    async def find(self, tx: Transaction, tenant_id: UUID, token: str) -> Invitation | None:
        """Without using it."""
        return await store.find(tx, tenant_id, tokens.digest(token))

    async def use(self, tx: Transaction, tenant_id: UUID, token: str, email: str) -> str | None:
        """The role that the invitation of that address gives; None where it is none, or over."""
        if not tokens.is_well_formed(token, tokens.INVITATION):
            return None
        return await store.use(tx, tenant_id, tokens.digest(token), email)

    async def use_any(self, tx: Transaction, tenant_id: UUID, email: str) -> str | None:
        """The same for somebody whose address a provider proved."""
        return await store.use_any(tx, tenant_id, email)
