"""Which site may send what: the cross-site check of unsafe methods (beside SameSite cookies), and CORS when configured.

Browsers say where a request comes from in `Sec-Fetch-Site` and `Origin`. Programs send neither and carry no ambient
cookie that another site could ride on.
"""

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keybearer.kit.errors import Forbidden

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class OriginGuard:
    """`own_origin` answers the origin that this request's host is served under."""

    def __init__(self, app: ASGIApp, *, own_origin: Callable[[Scope], str], allowed: tuple[str, ...] = ()) -> None:
        self._app = app
        self._own_origin = own_origin
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Headers(scope=scope)
        origin = request.get("origin")
        listed = origin in self._allowed
        if listed and scope["method"] == "OPTIONS" and "access-control-request-method" in request:
            await _preflight(origin or "")(scope, receive, send)
            return
        if scope["method"] not in _SAFE and not listed:
            self._check(scope, request, origin)
        await self._app(scope, receive, _with_cors(send, origin) if listed and origin else send)

    def _check(self, scope: Scope, request: Headers, origin: str | None) -> None:
        site = request.get("sec-fetch-site")
        foreign_site = site is not None and site not in {"same-origin", "none"}
        foreign_origin = origin is not None and origin != self._own_origin(scope)
        if foreign_site or foreign_origin:
            raise cross_site()


def cross_site() -> Forbidden:
    return Forbidden(
        "cross_site",
        "This request came from another site and was refused. Nothing was changed. Open Keybearer at its own "
        "address, or list the site in KEYBEARER_CORS_ORIGINS.",
    )


def _preflight(origin: str) -> Response:
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
            "Access-Control-Allow-Headers": "authorization, content-type, keybearer-reason, keybearer-connection",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        },
    )


def _with_cors(send: Send, origin: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = MutableHeaders(scope=message)
            answer["Access-Control-Allow-Origin"] = origin
            answer["Access-Control-Allow-Credentials"] = "true"
            answer["Access-Control-Expose-Headers"] = "keybearer-error, retry-after, x-request-id"
            answer.add_vary_header("Origin")
        await send(message)

    return sending
