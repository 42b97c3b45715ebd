"""What keeps sessions tidy: last use written every 30 s, expired rows removed by one process."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import structlog

from keybearer.kit import system
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import Unavailable
from keybearer.kit.leases import LAST_FLUSH_SECONDS
from keybearer.sessions import metrics, store
from keybearer.sessions.api_keys import store as api_keys
from keybearer.sessions.programs import store as programs
from keybearer.sessions.seen import LastSeen

Write = Callable[[Transaction, dict[UUID, datetime]], Awaitable[None]]

_FLUSH_SECONDS = 30.0

log = structlog.get_logger(__name__)


class SeenFlusher:
    """Every process writes what it saw itself."""

    def __init__(self, db: Database, last_seen: LastSeen) -> None:
        self._db = db
        self._last_seen = last_seen
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sessions-seen")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        try:
            async with asyncio.timeout(LAST_FLUSH_SECONDS):
                await self.flush()
        except TimeoutError:
            log.warning("sessions.seen_not_written")

    async def flush(self) -> None:
        for taken, write in (
            (self._last_seen.take(), store.seen),
            (self._last_seen.take_api_keys(), api_keys.used),
        ):
            for tenant_id, uses in taken.items():
                await self._write(tenant_id, uses, write)

    async def _write(self, tenant_id: UUID, uses: dict[UUID, datetime], write: Write) -> None:
        try:
            async with self._db.transaction(tenant_id) as tx:
                await write(tx, uses)
        except Unavailable:
            log.warning("sessions.seen_not_written", sessions=len(uses))
        except Exception:  # a loop that ended silently would sign everybody out a week later
            log.exception("sessions.seen_failed", sessions=len(uses))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()


async def prune(db: Database) -> int:
    """Removes what has expired; how many sessions, tokens, keys and devices."""
    async with system.transaction(db) as tx:
        removed = await store.remove_expired(tx) + await store.remove_expired_bearers(tx)
        removed += await store.remove_unused_devices(tx)
        removed += await programs.remove_expired(tx) + await api_keys.remove_expired(tx)
    if removed:
        log.info("sessions.pruned", removed=removed)
    return removed


async def measure(db: Database) -> None:
    async with system.transaction(db) as tx:
        metrics.ACTIVE.set(await store.count_active(tx))
