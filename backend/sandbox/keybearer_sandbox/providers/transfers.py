"""Endpoints that each fake API has beside its own: for big, slow and odd answers, as a proxy will meet them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping

from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from keybearer_sandbox.answers import Json, pause
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.bearer import ApiCall, GuardedApi
from keybearer_sandbox.oauth.parameters import MalformedRequest

MAX_STREAM_BYTES = 8 * 1024**3
_CHUNK = bytes(range(256)) * 1024
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ODD_HEADERS = (
    ("Set-Cookie", "sandbox_session=1; Path=/; HttpOnly"),
    ("Set-Cookie", "sandbox_tracking=2; Path=/"),
    ("Clear-Site-Data", '"cookies"'),
    ("Content-Security-Policy", "default-src *"),
    ("Strict-Transport-Security", "max-age=1"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Keybearer-Error", "planted_by_upstream"),
    ("ETag", '"sandbox"'),
)


class Transfers:
    def __init__(self, closing: asyncio.Event) -> None:
        self._closing = closing

    def routes(self, api: GuardedApi, prefix: str) -> list[Route]:
        return [
            api.route(f"{prefix}/echo", self._echo, "echo", methods=_METHODS),
            api.route(f"{prefix}/echo/{{rest:path}}", self._echo, "echo", methods=_METHODS),
            api.route(f"{prefix}/stream", self._stream, "stream"),
            api.route(f"{prefix}/upload", self._upload, "upload", methods=("POST", "PUT")),
            api.route(f"{prefix}/events", self._events, "events"),
            api.route(f"{prefix}/redirect", self._redirect, "redirect"),
        ]

    async def _echo(self, call: ApiCall) -> Response:
        """What arrived, as JSON, in an answer full of headers that a proxy must not pass on."""
        request = call.request
        content = {
            "method": request.method,
            "path": request.scope["raw_path"].decode("latin-1"),
            "query": request.scope["query_string"].decode("latin-1"),
            "headers": [[name, _masked(name, value)] for name, value in request.headers.items()],
            "body": await _measure(call),
            "account": call.account.email,
        }
        answer = Json(content)
        for name, value in _ODD_HEADERS:
            answer.headers.append(name, value)
        return answer

    async def _stream(self, call: ApiCall) -> Response:
        """`bytes` bytes: 0 to 255, over and over; `delay_ms` between pieces of 256 KiB."""
        fields = parameters.query(call.request)
        total = whole_number(fields, "bytes", 1024, 0, MAX_STREAM_BYTES)
        delay = whole_number(fields, "delay_ms", 0, 0, 10_000) / 1000
        headers = {"Content-Length": str(total)}
        return StreamingResponse(self._pieces(total, delay), headers=headers, media_type="application/octet-stream")

    async def _upload(self, call: ApiCall) -> Response:
        return Json({**await _measure(call), "content_type": call.request.headers.get("content-type")})

    async def _events(self, call: ApiCall) -> Response:
        """Server-sent events: `count` of them, `interval_ms` apart."""
        fields = parameters.query(call.request)
        count = whole_number(fields, "count", 5, 1, 10_000)
        interval = whole_number(fields, "interval_ms", 200, 0, 60_000) / 1000
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(self._ticks(count, interval), headers=headers, media_type="text/event-stream")

    async def _redirect(self, call: ApiCall) -> Response:
        fields = parameters.query(call.request)
        status = whole_number(fields, "status", 302, 301, 308)
        return RedirectResponse(fields.get("to", "https://elsewhere.example/"), status)

    async def _pieces(self, total: int, delay: float) -> AsyncIterator[bytes]:
        left = total
        while left > 0 and not self._closing.is_set():
            piece = _CHUNK[:left]
            left -= len(piece)
            yield piece
            if delay and left:
                await pause(delay, self._closing)

    async def _ticks(self, count: int, interval: float) -> AsyncIterator[bytes]:
        for number in range(1, count + 1):
            if self._closing.is_set():
                return
            yield f'id: {number}\nevent: tick\ndata: {{"number":{number}}}\n\n'.encode()
            if number < count:
                await pause(interval, self._closing)


def whole_number(fields: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A query parameter as an int within its bounds; raises MalformedRequest."""
    text = fields.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12) or not least <= int(text) <= most:
        raise MalformedRequest(f"Invalid {name}")
    return int(text)


async def _measure(call: ApiCall) -> dict[str, object]:
    digest, count = hashlib.sha256(), 0
    try:
        async for chunk in call.request.stream():
            digest.update(chunk)
            count += len(chunk)
    except ClientDisconnect as error:
        raise MalformedRequest("The body ended early.") from error
    return {"bytes": count, "sha256": digest.hexdigest()}


def _masked(name: str, value: str) -> str:
    """The access token is named by its hash: an echo must not be the way in which a token leaks."""
    if name != "authorization":
        return value
    scheme, _, token = value.partition(" ")
    return f"{scheme} sha256:{hashlib.sha256(token.encode('latin-1')).hexdigest()}"
