"""The way back: a provider's answer streamed to the agent, or a refusal of our own."""

import asyncio
import contextlib
from contextlib import aclosing

import httpx2
from starlette.types import Message, Receive, Scope, Send

from keybearer.http import problems
from keybearer.kit.errors import KeybearerError
from keybearer.providers import policy
from keybearer.providers.model import Provider
from keybearer.proxy import links
from keybearer.proxy.incoming import RawHeaders

_WITHOUT_BODY = frozenset({204, 304})
_LINGER_SECONDS = 2.0


class Answer:
    """Knows whether the answer has begun, after which a refusal can no longer be given."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.started = False

    async def relay(self, upstream: httpx2.Response, provider: Provider) -> None:
        """Reads no faster than the agent does: each piece is handed over before the next is asked for."""
        headers = self._with_links(policy.forwarded_answer_headers(upstream.headers.raw), provider)
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
        """Where a body is still arriving, takes it for a moment and then hangs up.

        Hanging up at once would reset the connection, and the agent would lose the refusal with it.
        """
        headers = {"Keybearer-Error": error.code}
        if body_read or not _has_body(self._scope):
            await problems.response(error, headers)(self._scope, self._receive, self._pass)
            return
        headers["Connection"] = "close"
        await problems.response(error, headers)(self._scope, self._receive, self._pass_unfinished)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while (await self._receive()).get("more_body", False):
                    pass
        await self._pass({"type": "http.response.body", "body": b"", "more_body": False})

    def _with_links(self, headers: RawHeaders, provider: Provider) -> RawHeaders:
        tenant = self._scope.get("state", {}).get("tenant")
        if tenant is None:
            return headers
        return [
            (name, links.through_proxy(value, provider, tenant.origin) if name == b"link" else value)
            for name, value in headers
        ]

    async def _pass_unfinished(self, message: Message) -> None:
        await self._pass({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    async def _pass(self, message: Message) -> None:
        self.started = True
        await self._send(message)


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
        for name, value in scope["headers"]
    )
