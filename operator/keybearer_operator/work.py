"""A level-triggered queue: keys in, `reconcile(key)` out.

A key is reconciled by one worker at a time, however often it is added; what fails comes again after a growing, jittered
pause; all keys come again at each resync, so a lost event costs seconds and never a state.
"""

import asyncio
import heapq
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from keybearer_operator.kube import ApiError, Conflict, Unavailable
from keybearer_operator.lease import Lease, NotLeading
from keybearer_operator.names import Key

log = structlog.get_logger(__name__)

Reconcile = Callable[[Key], Awaitable[float | None]]
"""Brings one object nearer to what it asks for; answers in how many seconds it wants to be called again, at the latest
at the next resync, or GONE where there is no such object any more."""

GONE: Final = float("inf")

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 120.0

_RECONCILES = Counter(
    "keybearer_operator_reconciles_total",
    "Reconciles by kind and outcome: done, conflict (tried again at once), failed.",
    ["kind", "outcome"],
)
_DURATION = Histogram(
    "keybearer_operator_reconcile_duration_seconds",
    "How long a reconcile took.",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_WAITING = Gauge("keybearer_operator_queue_keys", "Keys that are due or scheduled.", ["kind"])


class Work:
    """`resync`: the longest that a key waits for its next look, in seconds."""

    def __init__(
        self, kind: str, reconcile: Reconcile, lease: Lease, *, workers: int = 8, resync: float = 30.0
    ) -> None:
        self._kind = kind
        self._reconcile = reconcile
        self._lease = lease
        self._workers = workers
        self._resync = resync
        self._due: dict[Key, float] = {}
        self._order: list[tuple[float, Key]] = []
        self._known: set[Key] = set()
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Condition()

    async def add(self, key: Key) -> None:
        """Due now. While it is worked on: once more afterwards."""
        async with self._changed:
            self._known.add(key)
            if key in self._busy:
                self._again.add(key)
                return
            self._schedule(key, 0.0)
            self._changed.notify()

    async def look_at(self, keys: Iterable[Key]) -> None:
        """These are all that there are: what no event has told of, and what is gone by now, is due."""
        for key in self._known ^ set(keys):
            await self.add(key)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as workers:
            for _ in range(self._workers):
                workers.create_task(self._work())

    def _schedule(self, key: Key, after: float) -> None:
        due = time.monotonic() + after
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._order, (due, key))
        _WAITING.labels(self._kind).set(len(self._due))

    async def _work(self) -> None:
        while True:
            key = await self._next()
            await self._lease.wait_held()
            after = await self._attempt(key)
            async with self._changed:
                self._busy.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    after = min(after, FIRST_PAUSE if key in self._failures else 0.0)
                if after == GONE:
                    self._known.discard(key)
                else:
                    self._schedule(key, after)
                    self._changed.notify()

    async def _next(self) -> Key:
        async with self._changed:
            while True:
                pause = self._pause()
                if pause is not None and pause <= 0:
                    _, key = heapq.heappop(self._order)
                    del self._due[key]
                    self._busy.add(key)
                    return key
                # Not wait_for: its inner task may end without the lock when we are cancelled (Python 3.11).
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()

    def _pause(self) -> float | None:
        """Seconds until something is due; None: nothing is scheduled. Drops what was rescheduled or forgotten."""
        while self._order:
            due, key = self._order[0]
            if self._due.get(key) == due:
                return due - time.monotonic()
            heapq.heappop(self._order)
        return None

    async def _attempt(self, key: Key) -> float:
        """Seconds until the key's next turn."""
        started = time.monotonic()
        try:
            wish = await self._reconcile(key)
        except Conflict:
            return self._failed(key, "conflict", "reconcile.conflict")
        except (Unavailable, NotLeading) as error:
            return self._failed(key, "failed", "reconcile.unavailable", error)
        except ApiError as error:
            return self._failed(key, "failed", "reconcile.refused", error)
        except Exception as error:  # noqa: BLE001 - one object's trouble must not end the others' work
            return self._failed(key, "failed", "reconcile.failed", error, traceback=True)
        finally:
            _DURATION.labels(self._kind).observe(time.monotonic() - started)
        self._failures.pop(key, None)
        _RECONCILES.labels(self._kind, "done").inc()
        if wish == GONE:
            return GONE
        return self._resync * random.uniform(0.8, 1.0) if wish is None else min(wish, self._resync)  # noqa: S311

    def _failed(
        self, key: Key, outcome: str, event: str, error: Exception | None = None, *, traceback: bool = False
    ) -> float:
        _RECONCILES.labels(self._kind, outcome).inc()
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = backoff(failures)
        log.warning(
            event, kind=self._kind, key=str(key), error=str(error or ""), retry_in=round(pause, 2), exc_info=traceback
        )
        return pause


def backoff(failures: int) -> float:
    """Seconds before the next attempt: doubling, with jitter so that many objects do not come back together."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311
