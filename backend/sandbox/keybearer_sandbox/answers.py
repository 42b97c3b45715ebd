"""Answers that plain Starlette responses cannot give: ASCII-only JSON, no answer at all, an answer never."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

TRANSPORT = "sandbox_transport"


class Json(Response):
    """JSON in ASCII alone, so that a lone surrogate that a caller sent in can be echoed without an error."""

    def __init__(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")
        super().__init__(body, status, headers, media_type="application/json")


class HangUp(Response):
    """Closes the connection without a byte, as when a network fails after the provider did its work."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.Transport = scope["state"][TRANSPORT]
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            continue


class Silence(Response):
    """Keeps the connection open without a byte until the time is over, the caller leaves or the server stops."""

    def __init__(self, seconds: float, closing: asyncio.Event) -> None:
        super().__init__()
        self._seconds = seconds
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.create_task(_caller_left(receive))
        stopped = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait((left, stopped), timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            stopped.cancel()
        await HangUp()(scope, receive, send)


async def pause(seconds: float, closing: asyncio.Event) -> None:
    """Sleeps, but never past the moment the server is told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await closing.wait()
    except TimeoutError:
        return


async def _caller_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
