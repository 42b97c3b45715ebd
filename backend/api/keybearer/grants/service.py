"""Gives agents leave to act, and takes it back.

A grant is a short-lived bearer secret; `sessions` keeps and resolves it like every other one. Here is what it means:
which connections, which scopes, for whom, until when.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

from keybearer.events.service import Events
from keybearer.grants import errors, model, store
from keybearer.grants.model import Grant, Wish
from keybearer.kit import tokens
from keybearer.kit.database import Database, Transaction, notify
from keybearer.kit.principal import Principal
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.sessions import bearers
from keybearer.vault.model import Connection


class Connections(Protocol):
    """What is needed of the vault: a person's own connections."""

    async def list_connections(self, principal: Principal) -> Sequence[Connection]: ...


class Grants:
    def __init__(
        self,
        db: Database,
        connections: Connections,
        ledger: Ledger,
        events: Events,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._connections = connections
        self._ledger = ledger
        self._events = events
        self._now = now

    async def create(
        self, principal: Principal, wish: Wish, *, via: str | None = None
    ) -> tuple[Grant, tuple[Connection, ...], str]:
        """The grant, its connections, and the token, which is shown this once. `via` tells the ledger where from.

        Raises BadInput (`request_invalid`, `scope_not_granted`), NotFound("connection_not_found") and Conflict
        (`connection_ambiguous` with the accounts to choose from, `needs_reconnect`).
        """
        model.check(wish)
        chosen = model.choose(wish, await self._connections.list_connections(principal))
        now = self._now()
        grant = Grant(
            id=uuid4(),
            tenant_id=principal.tenant_id,
            user_id=principal.user_id,
            agent=wish.agent,
            connections=tuple(connection.id for connection in chosen),
            scopes=model.narrowed(wish, chosen),
            reason=wish.reason,
            created_at=now,
            expires_at=now + timedelta(seconds=wish.ttl_seconds),
            last_used_at=None,
        )
        token = tokens.new(tokens.GRANT)
        async with self._db.transaction(principal.tenant_id) as tx:
            await store.add(tx, grant)
            await bearers.add(tx, "grant", token, grant.tenant_id, grant.id, grant.expires_at)
            await self._ledger.record(tx, _created(grant, chosen, via))
        return grant, chosen, token

    async def list_live(
        self, principal: Principal, *, after: UUID | None = None, limit: int = 50
    ) -> list[tuple[Grant, tuple[Connection, ...]]]:
        """The caller's live grants with their connections, newest first."""
        async with self._db.transaction(principal.tenant_id) as tx:
            grants = await store.list_live(tx, principal.tenant_id, principal.user_id, after=after, limit=limit)
        held = {one.id: one for one in await self._connections.list_connections(principal)} if grants else {}
        return [(grant, tuple(held[each] for each in grant.connections if each in held)) for grant in grants]

    async def revoke(self, principal: Principal, grant_id: UUID) -> None:
        """Ends one of the caller's grants everywhere at once. NotFound("grant_not_found") if it has ended already."""
        async with self._db.transaction(principal.tenant_id) as tx:
            ended = await store.end(tx, principal.tenant_id, principal.user_id, [grant_id])
            if not ended:
                raise errors.grant_not_found()
            await self._ended(tx, ended, "asked")

    async def agents_of(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> dict[UUID, list[str]]:
        """Names of the agents that may use each connection now."""
        return await store.agents(tx, tenant_id, user_id)

    async def end_grants_of(self, tx: Transaction, tenant_id: UUID, connection_id: UUID) -> int:
        """For a disconnect: ends the grants that hold nothing else, takes the connection out of the others.

        Answers how many ended.
        """
        concerned = await store.lock_live_with(tx, tenant_id, connection_id)
        over = [grant for grant in concerned if set(grant.connections) == {connection_id}]
        for user_id in {grant.user_id for grant in over}:
            await store.end(tx, tenant_id, user_id, [grant.id for grant in over if grant.user_id == user_id])
        await self._ended(tx, over, "disconnected")
        await store.take_out(tx, tenant_id, connection_id)
        for user_id in {grant.user_id for grant in concerned} - {grant.user_id for grant in over}:
            await notify(tx, "user", user_id)
        return len(over)

    async def end_all(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> int:
        """Ends every live grant of the person; answers how many."""
        ended = await store.end(tx, tenant_id, user_id, None)
        await self._ended(tx, ended, "all")
        return len(ended)

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        removed = await store.erase(tx, tenant_id, user_id)
        await bearers.remove(tx, tenant_id, "grant", removed)

    async def _ended(self, tx: Transaction, ended: Iterable[Grant], why: str) -> None:
        for grant in ended:
            await bearers.remove(tx, grant.tenant_id, "grant", [grant.id])
            await self._ledger.record(tx, _revoked(grant, why))
            await self._events.publish(tx, grant.tenant_id, grant.user_id, "grant.revoked", {"id": str(grant.id)})


def _created(grant: Grant, chosen: Sequence[Connection], via: str | None) -> Entry:
    only = chosen[0] if len(chosen) == 1 else None
    return Entry(
        tenant_id=grant.tenant_id,
        action="grant.created",
        actor_kind="person",
        user_id=grant.user_id,
        grant_id=grant.id,
        connection_id=only.id if only else None,
        provider=only.provider if only else None,
        detail={
            "agent": grant.agent,
            "reason": grant.reason,
            "via": via,
            "expires_at": grant.expires_at.isoformat(),
            "connections": [
                {"id": str(one.id), "provider": one.provider, "account": one.account_name} for one in chosen
            ],
            "scopes": list(grant.scopes) if grant.scopes is not None else None,
        },
    )


def _revoked(grant: Grant, why: str) -> Entry:
    return Entry(
        tenant_id=grant.tenant_id,
        action="grant.revoked",
        actor_kind="person",
        user_id=grant.user_id,
        grant_id=grant.id,
        detail={"agent": grant.agent, "why": why},
    )
