"""Background work that runs in one process at a time, wherever that is."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable

import structlog

from keybearer.kit import store
from keybearer.kit.database import Database
from keybearer.kit.errors import Unavailable

_RELEASE_SECONDS = 2.0
# For what a process that ends writes of the last half minute: a database that is away must not hold it up.
LAST_FLUSH_SECONDS = 3.0

log = structlog.get_logger(__name__)


def process_name() -> str:
    """Names this process in leases: the host and pid for people, random bits against reuse."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Elected:
    """Runs `work` every `interval` seconds in the one process that holds the lease `name`.

    The lease lasts three intervals (at least 5 s), so a killed holder is followed soon. `work` must be safe to run
    twice, because a process can lose its lease while it works.
    """

    def __init__(
        self, db: Database, name: str, owner: str, interval: float, work: Callable[[], Awaitable[object]]
    ) -> None:
        self._db = db
        self._name = name
        self._owner = owner
        self._interval = interval
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"elected-{self._name}")

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(Unavailable, TimeoutError):  # the lease ends by itself too
            async with asyncio.timeout(_RELEASE_SECONDS), self._db.transaction(None) as tx:
                await store.release(tx, self._name, self._owner)

    async def _run(self) -> None:
        while True:
            try:
                async with self._db.transaction(None) as tx:
                    held = await store.claim(tx, self._name, self._owner, max(3 * self._interval, 5.0))
                if held is not None:
                    await self._work()
            except Unavailable:
                log.warning("background.database_unavailable", work=self._name)
            except Exception:  # a loop that ended silently would be found weeks later
                log.exception("background.failed", work=self._name)
            await asyncio.sleep(self._interval)
