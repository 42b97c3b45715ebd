"""Makes, lists and revokes API keys."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from keybearer.kit import tokens
from keybearer.kit.database import Database, Transaction
from keybearer.kit.principal import Principal
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.sessions import bearers
from keybearer.sessions.api_keys import errors, store
from keybearer.sessions.api_keys.model import DEFAULT_LIFETIME, LONGEST_LIFETIME, MOST, ApiKey

_KIND = "api_key"


class ApiKeys:
    def __init__(
        self, db: Database, ledger: Ledger, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._now = now

    async def create(
        self, principal: Principal, name: str, scopes: Sequence[str] | None, expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        """The key and its secret, shown this once.

        Raises BadInput("api_key_lifetime") and Conflict("api_keys_full").
        """
        now = self._now()
        until = now + DEFAULT_LIFETIME if expires_at is None else expires_at
        if not now < until <= now + LONGEST_LIFETIME:
            raise errors.lifetime_refused()
        kept = tuple(sorted(set(scopes))) if scopes is not None else None
        key = ApiKey(uuid4(), principal.user_id, name, kept, created_at=now, expires_at=until, last_used_at=None)
        token = tokens.new(tokens.API_KEY)
        async with self._db.transaction(principal.tenant_id) as tx:
            if await store.count(tx, principal.tenant_id, principal.user_id) >= MOST:
                raise errors.too_many(MOST)
            await store.add(tx, principal.tenant_id, key)
            await bearers.add(tx, _KIND, token, principal.tenant_id, key.id, key.expires_at)
            await self._record(tx, principal, "api_key.created", key.name)
        return key, token

    async def list_own(self, principal: Principal, *, after: UUID | None = None, limit: int = 50) -> list[ApiKey]:
        async with self._db.transaction(principal.tenant_id) as tx:
            return await store.list_of(tx, principal.tenant_id, principal.user_id, after=after, limit=limit)

    async def revoke(self, principal: Principal, key_id: UUID) -> None:
        """Ends it everywhere at once. Raises NotFound("api_key_not_found")."""
        async with self._db.transaction(principal.tenant_id) as tx:
            name = await store.remove(tx, principal.tenant_id, principal.user_id, key_id)
            if name is None:
                raise errors.not_found()
            await bearers.remove(tx, principal.tenant_id, _KIND, [key_id])
            await self._record(tx, principal, "api_key.revoked", name)

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        removed = await store.erase(tx, tenant_id, user_id)
        await bearers.remove(tx, tenant_id, _KIND, removed)

    async def _record(self, tx: Transaction, principal: Principal, action: str, name: str) -> None:
        await self._ledger.record(
            tx,
            Entry(tenant_id=principal.tenant_id, action=action, user_id=principal.user_id, detail={"name": name}),
        )
