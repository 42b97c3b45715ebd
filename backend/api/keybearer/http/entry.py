"""The outermost ASGI layer: request id, client address, limits, security headers, metrics, access log.

Nothing that a client sends gets past it as a traceback, and every answer leaves with the same headers.
"""

import ipaddress
import re
import time
from dataclasses import dataclass
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keybearer.http import headers, metrics, problems
from keybearer.kit import context
from keybearer.kit.errors import BadInput, KeybearerError, TooLarge

MAX_BODY = 1024 * 1024
MAX_HEADERS = 32 * 1024
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
# The proxy streams bodies under a limit of its own.
_STREAMED = "/api/proxy/"
_API = "/api"
_WELL_KNOWN = "/.well-known/"
_NO_STORE = (b"cache-control", b"no-store")

log = structlog.get_logger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Finds who is calling behind proxies that we trust; X-Forwarded-For of anyone else is ignored."""

    trusted: tuple[Network, ...]

    def of(self, scope: Scope) -> str | None:
        client = scope.get("client")
        address: str | None = client[0] if client else None
        if not self.is_trusted(address):
            return address
        # A proxy may add a line of its own below one that the client sent; the last hop is in the last line.
        forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            candidate = hop.strip()
            if not _is_address(candidate):
                return address
            address = candidate
            if not self.is_trusted(candidate):
                break
        return address

    def is_trusted(self, address: str | None) -> bool:
        if address is None or not self.trusted or not _is_address(address):
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.trusted)


class Entry:
    def __init__(self, app: ASGIApp, *, secure: bool, trusted_proxies: tuple[str, ...] = ()) -> None:
        self._app = app
        self._security = headers.security_headers(secure=secure)
        self._address = ClientAddress(tuple(ipaddress.ip_network(network) for network in trusted_proxies))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        current = context.RequestContext(request_id=self._request_id(scope), address=self._address.of(scope))
        token = context.request.set(current)
        answer = _Answer(send, self._defaults(scope), current.request_id)
        try:
            await self._serve(scope, receive, answer)
        finally:
            context.request.reset(token)
            _observe(scope, answer.status, time.perf_counter() - started, current.request_id)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        limited = _LimitedBody(receive, None if scope["path"].startswith(_STREAMED) else MAX_BODY)
        try:
            _check_headers(scope)
            limited.check_declared(scope)
            await self._app(scope, limited, answer)
        except KeybearerError as error:
            if not answer.started:
                await problems.response(error)(scope, receive, answer)
        except Exception:
            log.exception("request.crashed", route=_route(scope))
            if answer.finished:
                return
            if answer.started:
                raise
            await problems.internal()(scope, receive, answer)

    def _defaults(self, scope: Scope) -> headers.RawHeaders:
        """Answers of the API are somebody's own: nothing on the way may keep them unless a route says so."""
        return [*self._security, _NO_STORE] if scope["path"].startswith(_API) else self._security

    def _request_id(self, scope: Scope) -> str:
        client = scope.get("client")
        if self._address.is_trusted(client[0] if client else None):
            offered = headers.first(scope["headers"], b"x-request-id")
            if offered is not None and _REQUEST_ID.fullmatch(offered):
                return offered.decode()
        return uuid4().hex


class _Answer:
    """Adds headers to the answer's start and remembers its status."""

    def __init__(self, send: Send, defaults: headers.RawHeaders, request_id: str) -> None:
        self._send = send
        self._defaults = [*defaults, (b"x-request-id", request_id.encode())]
        self.status = 0
        self.finished = False

    @property
    def started(self) -> bool:
        return self.status != 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = headers.merged(list(message.get("headers", ())), self._defaults)
        await self._send(message)
        self.finished = message["type"] == "http.response.body" and not message.get("more_body", False)


class _LimitedBody:
    """Counts the body while it is read, because a chunked one declares no length."""

    def __init__(self, receive: Receive, limit: int | None) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0

    def check_declared(self, scope: Scope) -> None:
        declared = headers.first(scope["headers"], b"content-length")
        if self._limit is not None and declared is not None and declared.isdigit() and int(declared) > self._limit:
            raise _too_large(self._limit)

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and self._limit is not None:
            self._seen += len(message.get("body", b""))
            if self._seen > self._limit:
                raise _too_large(self._limit)
        return message


def _check_headers(scope: Scope) -> None:
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
        raise BadInput("headers_too_large", f"The request's headers exceed {MAX_HEADERS} bytes. Send fewer or shorter.")
    names = [name for name, _ in scope["headers"] if name in {b"host", b"authorization", b"content-length"}]
    if len(names) != len(set(names)):
        raise BadInput("header_refused", "Host, Authorization or Content-Length is there twice. Send it once.")


def _observe(scope: Scope, status: int, seconds: float, request_id: str) -> None:
    labels = (_route(scope), metrics.method_label(scope["method"]), str(status or 499))
    metrics.REQUESTS.labels(*labels).inc()
    metrics.DURATIONS.labels(*labels).observe(seconds)
    log.info(
        "request.answered",
        route=labels[0],
        method=labels[1],
        status=status or 499,
        ms=round(seconds * 1000, 1),
        request_id=request_id,
    )


def _route(scope: Scope) -> str:
    """The template that the router matched, such as /api/grants/{id}; bounded, unlike paths."""
    template = str(getattr(scope.get("route"), "path", None) or scope.get("keybearer_route") or "unmatched")
    # The framework names a route within its router.
    return _API + template if template.startswith("/") and not template.startswith((_API, _WELL_KNOWN)) else template


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body_too_large", f"The body exceeds {limit} bytes. Send a smaller one.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
