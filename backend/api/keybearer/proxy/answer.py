"""The way back: a provider's answer streamed to the agent, or a refusal of our own."""

from contextlib import aclosing

import httpx2
from starlette.types import Message, Receive, Scope, Send

from keybearer.http import problems
from keybearer.kit.errors import KeybearerError
from keybearer.providers import policy

_WITHOUT_BODY = frozenset({204, 304})


class Answer:
    """Knows whether the answer has begun, after which a refusal can no longer be given."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.started = False

    async def relay(self, upstream: httpx2.Response) -> None:
        """Reads no faster than the agent does: each piece is handed over before the next is asked for."""
        headers = policy.forwarded_answer_headers(upstream.headers.raw)
        bodiless = upstream.status_code in _WITHOUT_BODY
        if bodiless:
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        await self._pass({"type": "http.response.start", "status": upstream.status_code, "headers": headers})
        if not bodiless and self._scope["method"] != "HEAD":
            async with aclosing(upstream.aiter_raw()) as pieces:
                async for piece in pieces:
                    await self._pass({"type": "http.response.body", "body": piece, "more_body": True})
        await self._pass({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, error: KeybearerError, *, body_read: bool) -> None:
        """Hangs up afterwards where the rest of the request's body would only be read to be thrown away."""
        headers = {"Keybearer-Error": error.code}
        if not body_read and _has_body(self._scope):
            headers["Connection"] = "close"
        await problems.response(error, headers)(self._scope, self._receive, self._pass)

    async def _pass(self, message: Message) -> None:
        self.started = True
        await self._send(message)


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
        for name, value in scope["headers"]
    )
