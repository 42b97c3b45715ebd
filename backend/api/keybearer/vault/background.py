"""What the vault does by itself: tokens refreshed before they are needed, people reminded before a consent ends."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import structlog

from keybearer.kit import system
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError, Unavailable
from keybearer.kit.leases import LAST_FLUSH_SECONDS, Elected
from keybearer.vault import metrics, store
from keybearer.vault.refresh import store as journal
from keybearer.vault.service import Vault

FLUSH_SECONDS = 30.0
REFRESH_SECONDS = 60.0
REMIND_SECONDS = 600.0
GAUGE_SECONDS = 30.0
_AT_ONCE = 8
_SPREAD = 0.75  # of the interval, so that one round is over before the next begins

log = structlog.get_logger(__name__)


class VaultWork:
    """Last use is written by every process for itself; the rest is done by one process at a time."""

    def __init__(
        self, db: Database, vault: Vault, owner: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._db = db
        self._vault = vault
        self._clock = clock
        self._gauges = Gauges()
        self._flusher: asyncio.Task[None] | None = None
        self._elected = (
            Elected(db, "vault.refresh", owner, REFRESH_SECONDS, self.refresh_ahead),
            Elected(db, "vault.reminders", owner, REMIND_SECONDS, self.remind),
            Elected(db, "vault.gauges", owner, GAUGE_SECONDS, self.measure),
        )

    def start(self) -> None:
        self._flusher = asyncio.create_task(self._flush_now_and_then(), name="vault-last-use")
        for elected in self._elected:
            elected.start()

    async def stop(self) -> None:
        await asyncio.gather(*(elected.stop() for elected in self._elected))
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
        try:
            async with asyncio.timeout(LAST_FLUSH_SECONDS):
                await self.flush()
        except TimeoutError:
            log.warning("vault.last_use.not_written")

    async def flush(self) -> None:
        """One statement for all tenants. What cannot be written now is kept for the next time."""
        taken = self._vault.usage.take()
        if not taken:
            return
        try:
            async with system.transaction(self._db) as tx:
                await store.used(tx, taken)
        except Unavailable:
            log.warning("vault.last_use.not_written", connections=len(taken))
            self._vault.usage.give_back(taken)

    async def refresh_ahead(self, spread: float = REFRESH_SECONDS * _SPREAD) -> int:
        """Refreshes what agents used lately and will soon need, spread over time. Answers how many it tried."""
        async with system.transaction(self._db) as tx:
            due = await store.due(tx, self._clock())
        gate = asyncio.Semaphore(_AT_ONCE)

        async def refresh(tenant_id: UUID, connection_id: UUID) -> None:
            await asyncio.sleep(random.uniform(0, spread))  # noqa: S311 -- spreads load, protects nothing
            async with gate:
                await self._refresh_one(tenant_id, connection_id)

        await asyncio.gather(*(refresh(*one) for one in due))
        return len(due)

    async def remind(self) -> int:
        """Tells people 30, 7 and 1 days before a consent ends, each once; answers how many were told."""
        async with system.transaction(self._db) as tx:
            await journal.forget_old(tx)
            expiring = await store.expiring(tx, self._clock())
        told = 0
        for tenant_id, connection_id in expiring:
            days = await self._vault.remind(tenant_id, connection_id)
            told += days is not None
            if days == 0:  # the consent is over by the calendar; the provider has the last word
                await self._refresh_one(tenant_id, connection_id)
        return told

    async def measure(self) -> None:
        async with system.transaction(self._db) as tx:
            counts = await store.counts(tx, self._clock())
            unverified = await store.count_unverified(tx)
        self._gauges.set(counts)
        metrics.UNVERIFIED.set(unverified)

    async def _refresh_one(self, tenant_id: UUID, connection_id: UUID) -> None:
        try:
            await self._vault.refresh_now(tenant_id, connection_id, why="ahead")
        except KeybearerError as error:
            log.info("vault.refresh.not_ahead", connection=str(connection_id), code=error.code)
        except Exception:  # one connection's trouble must not keep the others
            log.exception("vault.refresh.not_ahead", connection=str(connection_id))

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception:  # a loop that ended silently would be found weeks later
                log.exception("vault.last_use.failed")
            self._gauges.forget_if_old()


async def prune(db: Database) -> int:
    """Removes what is known of refreshes that nothing depends on any more; how many."""
    async with system.transaction(db) as tx:
        return await journal.forget_old(tx)


async def distrust(tx: Transaction) -> int:
    """After a restore, for a transaction that sees every tenant's rows: how many connections are to be tried anew."""
    return await store.distrust(tx)


class Gauges:
    """Reported while this process is the one that counts, and not from memory afterwards."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._counted_at = float("-inf")
        self._labels: set[tuple[str, str]] = set()

    def set(self, counts: dict[tuple[str, str], int]) -> None:
        self._counted_at = self._monotonic()
        for labels in self._labels - counts.keys():
            metrics.CONNECTIONS.labels(*labels).set(0)
        for labels, count in counts.items():
            metrics.CONNECTIONS.labels(*labels).set(count)
        self._labels = set(counts)

    def forget_if_old(self) -> None:
        if self._monotonic() - self._counted_at > 3 * GAUGE_SECONDS:
            self.set({})
