"""An agent's request body: a small one is held so that it can be sent again, a big one flows through.

Nothing is read faster than the provider takes it, so memory stays flat however big the body.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.types import Receive

from keybearer.proxy import errors

HELD = 1024 * 1024
STALL_SECONDS = 60.0


class ClientGone(Exception):
    """The agent hung up before its request was whole."""


class RequestBody:
    def __init__(self, receive: Receive, declared_length: int | None, *, limit: int) -> None:
        if declared_length is not None and declared_length > limit:
            raise errors.body_too_large(limit)
        self._receive = receive
        self._limit = limit
        self._held: list[bytes] = []
        self._seen = 0
        self._complete = asyncio.Event()
        self.declared_length = declared_length

    @property
    def complete(self) -> bool:
        """Whether all of it has been read from the agent."""
        return self._complete.is_set()

    @property
    def replayable(self) -> bool:
        return self.complete and self._seen <= HELD

    async def read_ahead(self) -> None:
        """Reads up to 1 MiB, enough to know whether the call can be made twice."""
        while not self.complete and self._seen <= HELD:
            self._held.append(await self._next())

    def content(self, sent: Callable[[], None]) -> bytes | AsyncIterator[bytes]:
        """What to send; `sent` is called when a streamed body has been handed over whole."""
        return b"".join(self._held) if self.replayable else self._stream(sent)

    async def until_gone(self) -> None:
        """Returns when the agent hung up after its request was whole."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _stream(self, sent: Callable[[], None]) -> AsyncIterator[bytes]:
        held, self._held = self._held, []
        for chunk in held:
            yield chunk
        while not self.complete:
            chunk = await self._next()
            if chunk:
                yield chunk
        sent()

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise errors.body_stalled() from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        self._seen += len(chunk)
        if self._seen > self._limit:
            raise errors.body_too_large(self._limit)
        if not message.get("more_body", False):
            self._complete.set()
        return chunk
