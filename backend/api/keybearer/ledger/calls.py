"""Records proxied calls: the start before anything leaves for the provider, the end shortly after (rule R7).

While one commit is on its way the next calls gather, so that a busy process pays for few commits. A process that cannot
record refuses calls: the backlog of both kinds is bounded, and its bound refuses at the start, never at the end.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from keybearer.keys.envelope import WrappedKey
from keybearer.keys.service import Keys
from keybearer.kit import faults
from keybearer.kit.database import Database
from keybearer.kit.errors import Unavailable
from keybearer.ledger import record, store
from keybearer.ledger.model import Entry, Row

_GATHER_SECONDS = 0.001
_FINISH_SECONDS = 0.1
_RETRY_SECONDS = 0.5
_STOP_SECONDS = 10.0
_CAPACITY = 5_000
_BATCH = 500

log = structlog.get_logger(__name__)

Waiting = tuple[Row, "asyncio.Future[None]"]
T = TypeVar("T")


class CallWriter:
    """One a process. `started` is awaited before the call leaves; `finished` never waits."""

    def __init__(self, db: Database, keys: Keys, *, capacity: int = _CAPACITY) -> None:
        self._db = db
        self._keys = keys
        self._capacity = capacity
        self._started: deque[Waiting] = deque()
        self._finished: deque[Row] = deque()
        self._something_started = asyncio.Event()
        self._something_finished = asyncio.Event()
        self._open = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._write_started(), name="ledger-started"),
            asyncio.create_task(self._write_finished(), name="ledger-finished"),
        ]

    async def stop(self) -> None:
        """Writes what is left; call it when no more calls can start."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                while self._started or self._finished:
                    await self._flush_started()
                    if self._finished and not await self._flush_finished():
                        await asyncio.sleep(_RETRY_SECONDS)
        except TimeoutError:
            log.exception("ledger.call.ends_lost", calls=len(self._finished))

    async def started(self, entry: Entry, key: WrappedKey) -> None:
        """Returns once the row is committed; only then may the call leave.

        Raises Unavailable (`ledger_busy`, `database_unavailable`): the call was not recorded and must not be made.
        """
        if len(self._started) + len(self._finished) + self._open >= self._capacity:
            raise Unavailable(
                "ledger_busy",
                "Calls cannot be recorded fast enough right now, and none is made unrecorded. Try again in a second.",
                retry_after=1,
            )
        if not self._tasks:
            raise _stopping()
        row = record.row_of(record.with_address(entry), self._keys, key)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started.append((row, written))
        self._something_started.set()
        await faults.reach("ledger.call.queued")
        await written
        await faults.reach("ledger.call.acknowledged")

    def finished(self, entry: Entry, key: WrappedKey) -> None:
        """Says how the call with the same `call_id` ended."""
        self._finished.append(record.row_of(entry, self._keys, key))
        self._something_finished.set()

    async def _write_started(self) -> None:
        busy = False
        while True:
            await self._something_started.wait()
            self._something_started.clear()
            if busy:
                await asyncio.sleep(_GATHER_SECONDS)
            busy = await self._flush_started() > 1

    async def _write_finished(self) -> None:
        while True:
            await self._something_finished.wait()
            self._something_finished.clear()
            await asyncio.sleep(_FINISH_SECONDS)
            while self._finished:
                if not await self._flush_finished():
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _flush_started(self) -> int:
        batch = _take(self._started)
        if self._started:
            self._something_started.set()
        if not batch:
            return 0
        self._open += len(batch)
        try:
            await self._insert_started(batch)
        finally:
            self._open -= len(batch)
            for _, written in batch:
                if not written.done():  # the writer itself was cancelled
                    written.set_exception(_stopping())
        return len(batch)

    async def _insert_started(self, batch: Sequence[Waiting]) -> None:
        try:
            await store.append_calls(self._db, [row for row, _ in batch])
        except Exception as error:  # noqa: BLE001 -- whoever waits is told, whatever it is
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for one in batch:  # one row that cannot be stored must not refuse everybody's calls
                    await self._insert_started([one])
                return
            for _, written in batch:
                if not written.done():
                    written.set_exception(error)
            return
        await faults.reach("ledger.call.committed")
        for _, written in batch:
            if not written.done():  # a caller may have gone; its row stays, with an unknown end
                written.set_result(None)

    async def _flush_finished(self) -> bool:
        """False when the database is away; the rows then stay."""
        batch = _take(self._finished)
        try:
            await _each_or_all(batch, lambda rows: store.append_calls(self._db, rows))
        except (Unavailable, asyncio.CancelledError) as error:
            self._finished.extendleft(reversed(batch))
            if isinstance(error, asyncio.CancelledError):
                raise
            log.warning("ledger.call.ends_wait", calls=len(self._finished))
            return False
        await faults.reach("ledger.call.finished")
        return True


async def _each_or_all(rows: Sequence[Row], insert: Callable[[Sequence[Row]], Awaitable[None]]) -> None:
    """A row that can never be stored is left out loudly; the others are written."""
    try:
        await insert(rows)
    except Unavailable:
        raise
    except Exception:
        if len(rows) == 1:
            log.exception("ledger.call.end_unwritable", call_id=str(rows[0].call_id))
            return
        for row in rows:
            await _each_or_all([row], insert)


def _take(queue: deque[T]) -> list[T]:
    return [queue.popleft() for _ in range(min(_BATCH, len(queue)))]


def _stopping() -> Unavailable:
    return Unavailable("ledger_busy", "This process is stopping. Try again in a second.", retry_after=1)
