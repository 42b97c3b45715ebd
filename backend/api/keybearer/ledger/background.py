"""What works across tenants: the sealer, and reading to verify."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from keybearer.keys.erasures import Erasure
from keybearer.keys.signing import SigningKeyring
from keybearer.kit import faults, system
from keybearer.kit.database import Database, Transaction
from keybearer.ledger import chain, metrics, store
from keybearer.ledger.chain import NO_BATCH, Archived, Batch, Seal, StoredRow
from keybearer.ledger.checkpoint import micros, public_form
from keybearer.ledger.store import HIGHEST_XID, Horizon
from keybearer.ledger.verify import Remainder

SEAL_SECONDS = 1.0
_BATCH_ROWS = 10_000

log = structlog.get_logger(__name__)


class Sealer:
    """Chains and signs what was recorded (rule R7). One process is elected to run it, and two at once do no harm."""

    def __init__(self, db: Database, signers: SigningKeyring, *, batch_rows: int = _BATCH_ROWS) -> None:
        self._db = db
        self._signers = signers
        self._batch_rows = batch_rows

    async def run(self) -> None:
        """Seals everything that can be sealed now."""
        while await self.seal():
            pass

    async def seal(self) -> Batch | None:
        """One more batch, None when nothing is left or another sealer was first."""
        async with system.transaction(self._db) as tx:
            batch = await self._seal(tx)
            if batch is None:
                return None
            await faults.reach("ledger.seal.inserted")
        await faults.reach("ledger.seal.committed")
        log.info("ledger.sealed", **public_form(batch))
        return batch

    async def next_era(self, tx: Transaction) -> tuple[int, Batch | None]:
        """After a restore: transaction ids come again that were used before, so they count anew from here on.

        What the ending era has left is sealed first. `tx` sees every tenant's rows. Answers the new era, and the last
        batch of the old one.
        """
        era = await store.begin_era(tx)
        while await self._seal(tx):
            pass
        return era, await store.last_batch(tx)

    async def _seal(self, tx: Transaction) -> Batch | None:
        last = await store.last_batch(tx)
        # The horizon is taken before the rows are read: what is below it then, is below it for good.
        found = await self._next_rows(tx, last, await store.horizon(tx))
        if found is None:
            return None
        era, start, end, rows, at = found
        await faults.reach("ledger.seal.selected")
        batch = self._sign(last, era, start, end, rows, at)
        await faults.reach("ledger.seal.signed")
        if not await store.add_batch(tx, batch):
            log.info("ledger.seal.overtaken", no=batch.seal.no)
            return None
        return batch

    async def _next_rows(
        self, tx: Transaction, last: Batch | None, now: Horizon
    ) -> tuple[int, int, int, list[StoredRow], int] | None:
        """Era, range, rows and time of the next batch; an era that a restore ended is finished first."""
        for era, start in _open_ranges(last, now.eras).items():
            end = now.below if era == now.eras[-1] else HIGHEST_XID
            if end < start:
                log.error("ledger.seal.transactions_went_back", era=era, sealed_to=str(start), now=str(end))
            rows = await store.stored_rows(tx, era, start, end, after=None, limit=self._batch_rows + 1)
            if len(rows) > self._batch_rows:
                end, rows = await self._whole_transactions(tx, era, rows)
            elif rows and end == HIGHEST_XID:
                end = rows[-1].xid + 1
            if rows:
                return era, start, end, rows, micros(now.at)
        return None

    async def _whole_transactions(
        self, tx: Transaction, era: int, rows: list[StoredRow]
    ) -> tuple[int, list[StoredRow]]:
        """Cuts between two transactions: a range of transaction ids cannot end within one."""
        end = rows[-1].xid
        if rows[0].xid != end:
            return end, [row for row in rows if row.xid < end]
        more = await store.stored_rows(tx, era, end, end + 1, after=(end, rows[-1].id), limit=HIGHEST_XID // 4)
        return end + 1, rows + more

    def _sign(self, last: Batch | None, era: int, start: int, end: int, rows: Sequence[StoredRow], at: int) -> Batch:
        seal = Seal(
            previous_hash=last.seal.hash if last is not None else NO_BATCH,
            no=last.seal.no + 1 if last is not None else 1,
            era=era,
            from_xid=start,
            to_xid=end,
            count=len(rows),
            root=chain.root_of(rows),
            sealed_at=at,
            key_id=self._signers.primary,
        )
        return Batch(seal, self._signers.sign(seal.hash))


class StoredBooks:
    """The ledger as `verify` walks it. Each answer is a transaction of its own: nothing that was sealed may change."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def batches(self, after: int, limit: int) -> list[Batch]:
        async with system.transaction(self._db) as tx:
            return await store.list_batches(tx, after, limit)

    async def rows(
        self, era: int, from_xid: int, to_xid: int, after: tuple[int, int] | None, limit: int
    ) -> list[StoredRow]:
        async with system.transaction(self._db) as tx:
            return await store.stored_rows(tx, era, from_xid, to_xid, after=after, limit=limit)

    async def old_batches(self, after: int, before: datetime, limit: int = 500) -> list[Batch]:
        """Sealed before that time; never the newest, which the next one follows on."""
        async with system.transaction(self._db) as tx:
            return await store.old_batches(tx, after, before, limit)

    async def archived(self) -> Archived | None:
        async with system.transaction(self._db) as tx:
            return await store.archived(tx)

    async def remainder(self, ends: Mapping[int, int], archived: Archived | None) -> Remainder:
        async with system.transaction(self._db) as tx:
            now = await store.horizon(tx)
            stray = await _find_stray(tx, now, ends) or await _find_archived(tx, archived)
            newest = max(ends, default=0)
            starts = {era: ends.get(era, 0) for era in now.eras if era >= newest}
            count, oldest = await store.unsealed(tx, starts)
        return Remainder(count, oldest, stray)


async def position(tx: Transaction) -> tuple[int, Batch | None, int]:
    """Era, newest batch and newest row, for a transaction that sees every tenant's rows."""
    eras = (await store.horizon(tx)).eras
    return eras[-1], await store.last_batch(tx), await store.newest_row(tx)


async def erased(tx: Transaction) -> list[Erasure]:
    """Who was erased, for a transaction that sees every tenant's rows."""
    return await store.erased(tx)


async def measure(db: Database) -> tuple[int, float]:
    """How many rows are in no batch, and the age of the oldest in seconds; sets the gauges."""
    async with system.transaction(db) as tx:
        last = await store.last_batch(tx)
        now = await store.horizon(tx)
        count, oldest = await store.unsealed(tx, _open_ranges(last, now.eras))
    metrics.UNSEALED.set(count)
    metrics.UNSEALED_AGE.set(oldest or 0.0)
    return count, oldest or 0.0


def _open_ranges(last: Batch | None, eras: Sequence[int]) -> dict[int, int]:
    """From which transaction id on each era may still have unsealed rows."""
    if last is None:
        return dict.fromkeys(eras, 0)
    return {era: last.seal.to_xid if era == last.seal.era else 0 for era in eras if era >= last.seal.era}


async def _find_archived(tx: Transaction, archived: Archived | None) -> str | None:
    """Names a row in a place whose rows were all moved to files."""
    if archived is None:
        return None
    found = await store.find_first_below(tx, archived.era, archived.to_xid)
    return f"row {found} was added to a batch that was archived" if found is not None else None


async def _find_stray(tx: Transaction, now: Horizon, ends: Mapping[int, int]) -> str | None:
    """Names a row that no batch holds and none can come to hold."""
    if now.eras != tuple(range(1, len(now.eras) + 1)) or not now.eras:
        return f"the list of eras was changed: it holds {list(now.eras)}"
    outside = await store.find_outside(tx, now.eras[0], now.eras[-1])
    if outside is not None:
        return f"row {outside[0]} is of era {outside[1]}, which never was"
    newest = max(ends, default=0)
    for era in now.eras:
        if era < newest and (late := await store.find_first_from(tx, era, ends.get(era, 0))) is not None:
            return f"row {late} was added to era {era}, which has ended"
    early = await store.find_beyond(tx, now.eras[-1])
    return f"row {early} is of a transaction that has not happened yet" if early is not None else None
