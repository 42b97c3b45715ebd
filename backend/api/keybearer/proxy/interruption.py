"""Ends a block of work from outside, for a reason that the block's owner learns.

async with Interruption() as interruption:
    interruption.watch(client_gone(receive, interruption))     # may call interruption.end("client_gone")
    interruption.expect_within(60, "provider_timeout")
    …                                                          # Interrupted is raised here
"""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger(__name__)


class Interrupted(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Interruption:
    def __init__(self) -> None:
        self._timeout = asyncio.timeout(None)
        self._reason: str | None = None
        self._late = ""
        self._open = False
        self._watches: list[asyncio.Task[None]] = []

    def end(self, reason: str) -> None:
        """The first reason counts; after the block it does nothing."""
        if self._open and self._reason is None:
            self._reason = reason
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def expect_within(self, seconds: float | None, reason: str = "") -> None:
        """Ends the block with this reason unless called again in time; None expects nothing any more."""
        if self._open and self._reason is None:
            self._late = reason
            now = asyncio.get_running_loop().time()
            self._timeout.reschedule(None if seconds is None else now + seconds)

    def watch(self, watching: Coroutine[object, object, None]) -> None:
        """Runs beside the block and is cancelled with it. Should it fail, the block ends: nobody watches any more."""
        self._watches.append(asyncio.create_task(self._watched(watching)))

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as ended:
            raise Interrupted(self._reason or self._late) from ended
        finally:
            for task in self._watches:
                task.cancel()
            await asyncio.gather(*self._watches, return_exceptions=True)

    async def _watched(self, watching: Coroutine[object, object, None]) -> None:
        try:
            await watching
        except Exception:
            log.exception("proxy.watch.failed")
            self.end("watch_failed")
