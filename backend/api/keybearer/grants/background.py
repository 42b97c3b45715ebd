"""What is done with grants of every tenant.

Last use is kept in memory and written every 30 s, because a write per proxied call would cost too much.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import structlog

from keybearer.grants import store
from keybearer.kit import system
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import Unavailable
from keybearer.kit.leases import LAST_FLUSH_SECONDS

_FLUSH_SECONDS = 30.0
_KEPT_DAYS = 90
_AT_ONCE = 1_000

log = structlog.get_logger(__name__)


class LastUse:
    """Every process writes what it saw itself, in one statement for all tenants."""

    def __init__(self, db: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._db = db
        self._now = now
        self._used: dict[tuple[UUID, UUID], datetime] = {}
        self._task: asyncio.Task[None] | None = None

    def used(self, tenant_id: UUID, grant_id: UUID) -> None:
        self._used[tenant_id, grant_id] = self._now()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="grants-last-use")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        try:
            async with asyncio.timeout(LAST_FLUSH_SECONDS):
                await self.flush()
        except TimeoutError:
            log.warning("grants.last_use.not_written")

    async def flush(self) -> None:
        """What cannot be written now is kept for the next time."""
        taken, self._used = self._used, {}
        if not taken:
            return
        try:
            async with system.transaction(self._db) as tx:
                await store.used(tx, taken)
        except Unavailable:
            log.warning("grants.last_use.not_written", grants=len(taken))
            self._used = taken | self._used

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()


async def prune(db: Database) -> int:
    """Removes grants that ended long ago, few at a time; the ledger keeps who had which."""
    removed = 0
    while True:
        async with system.transaction(db) as tx:
            part = await store.remove_ended(tx, _KEPT_DAYS, _AT_ONCE)
        removed += part
        if part < _AT_ONCE:
            return removed


async def end_everybodys(tx: Transaction) -> int:
    """After a restore: grants that were revoked since the backup must not come back. `tx` sees every tenant's rows."""
    return await store.end_everybodys(tx)
