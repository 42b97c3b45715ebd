"""The listening connection of a process, and the proof that nothing committed earlier is on its way (rule R3).

PostgreSQL delivers earlier committed notifications before it answers a later query on the same connection. So an
answered `SELECT 1` that was sent at time t proves that every notification committed before t has been handled.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import asyncpg
import structlog

from keybearer.kit.errors import Unavailable

CHANNEL = "keybearer"
HEARTBEAT_SECONDS = 0.25
FRESH_SECONDS = 0.7
_RETRY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0)

log = structlog.get_logger(__name__)


class Subscriber(Protocol):
    """Called in the event loop, in order, and must not block."""

    def notified(self, kind: str, subject: str, /) -> None: ...

    def disconnected(self) -> None:
        """Notifications may have been missed: forget everything learned so far."""


class Listener:
    """`connect` opens a fresh connection, `announce` notifies a payload by the road that revocations take.

    `monotonic` is a clock in seconds.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable["asyncpg.Connection[Any]"]],
        announce: Callable[[str], Awaitable[None]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._announce = announce
        self._monotonic = monotonic
        self._subscribers: list[Subscriber] = []
        self._proved_at = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._wanted = self._renewed = 0

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    @property
    def fresh(self) -> bool:
        """Whether what was learned from the database may still be served from memory."""
        return self._monotonic() - self._proved_at <= FRESH_SECONDS

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="listener")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def renew(self) -> None:
        """Listens over a connection of the login as it is now, and then closes the one before: nothing is missed."""
        self._wanted += 1
        wanted = self._wanted
        while self._renewed < wanted:  # noqa: ASYNC110 -- the heartbeat does it, or whatever connects again
            await asyncio.sleep(HEARTBEAT_SECONDS / 5)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, Unavailable) as error:
                log.warning("database.listener.lost", error=type(error).__name__)
            except Exception:  # without it, this process would answer everything from the database for ever
                log.exception("database.listener.failed")
            if self.fresh:
                failures = 0
            self._forget()
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    async def _listen(self) -> None:
        connection = await self._open()
        try:
            # Not before: what was read until it listened may have changed while nobody was told.
            self._forget()
            log.debug("database.listener.ready")
            while True:
                sent = self._monotonic()
                await connection.fetchval("SELECT 1", timeout=FRESH_SECONDS)
                self._proved_at = sent
                if self._renewed < self._wanted:
                    before, connection = connection, await self._open()
                    before.terminate()
                    continue
                await asyncio.sleep(HEARTBEAT_SECONDS)
        finally:
            connection.terminate()

    async def _open(self) -> "asyncpg.Connection[Any]":
        """A connection that hears everything from now on. Raises TimeoutError when it does not."""
        wanted = self._wanted
        connection = await self._connect()
        try:
            nonce, arrived = secrets.token_hex(16), asyncio.Event()

            def deliver(_connection: object, _pid: int, _channel: str, payload: object) -> None:
                kind, _, subject = str(payload).partition(":")
                if kind == "nonce":
                    if subject == nonce:
                        arrived.set()
                    return
                for subscriber in self._subscribers:
                    subscriber.notified(kind, subject)

            await connection.add_listener(CHANNEL, deliver)
            # By the road that revocations take, which proves that both lead to the same database.
            await self._announce(f"nonce:{nonce}")
            # Not wait_for: on Python 3.11 it can swallow a cancellation, and stopping would wait for ever.
            async with asyncio.timeout(FRESH_SECONDS):
                await arrived.wait()
        except BaseException:
            connection.terminate()
            raise
        self._renewed = wanted
        return connection

    def _forget(self) -> None:
        self._proved_at = float("-inf")
        for subscriber in self._subscribers:
            subscriber.disconnected()
