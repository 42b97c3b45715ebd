"""Does what was asked for, in the process that sends mail, and forgets what nobody used."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog

from keybearer.kit import context, system
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import TooMany
from keybearer.letters import store
from keybearer.letters.errands import Errands
from keybearer.letters.model import Errand
from keybearer.tenancy.model import Tenant
from keybearer.tenancy.service import Tenancy

_BATCH = 20

# The transaction in which an errand is done is the one in which it is removed. What is slow comes before it.
Finishing = Callable[[], AbstractAsyncContextManager[Transaction]]
Handler = Callable[[Tenant, Mapping[str, str], Finishing], Awaitable[None]]

log = structlog.get_logger(__name__)


class _DoneAlready(Exception):
    """By somebody else, who was elected meanwhile."""


class Runner:
    def __init__(self, db: Database, errands: Errands, tenancy: Tenancy, handlers: Mapping[str, Handler]) -> None:
        self._db = db
        self._errands = errands
        self._tenancy = tenancy
        self._handlers = handlers

    async def run(self) -> None:
        """One that fails is tried again after half a minute, and given up after an hour."""
        async with system.transaction(self._db) as tx:
            waiting = await store.list_errands(tx, _BATCH)
        for errand in waiting:
            try:
                await self._do(errand)
            except _DoneAlready:
                log.info("errand.done_already", kind=errand.kind)
            except TooMany as error:
                log.info("errand.put_off", kind=errand.kind, code=error.code)
            except Exception:
                log.exception("errand.failed", kind=errand.kind)
                async with system.transaction(self._db) as tx:
                    await store.postpone_errand(tx, errand.id)

    async def _do(self, errand: Errand) -> None:
        tenant, handler = self._tenancy.find(errand.tenant_id), self._handlers.get(errand.kind)
        if tenant is None or handler is None:
            raise LookupError("of a tenant without a host, or of a version to come")
        async with self._db.transaction(tenant.id) as tx:
            said, request = await self._errands.open(tx, errand)

        @asynccontextmanager
        async def finishing() -> AsyncIterator[Transaction]:
            async with self._db.transaction(errand.tenant_id) as tx:
                if not await store.take_errand(tx, errand.tenant_id, errand.id):
                    raise _DoneAlready
                yield tx

        before = context.request.set(request)
        try:
            await handler(tenant, said, finishing)
        finally:
            context.request.reset(before)


async def prune(db: Database) -> int:
    """How many links and errands there were."""
    async with system.transaction(db) as tx:
        return await store.remove_expired(tx) + await store.remove_stale_errands(tx)
