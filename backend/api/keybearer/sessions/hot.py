"""`GET /api/auth/me` from memory, in front of the framework: the one call that every page and proxy makes all the time.

Whatever is not the plain case (nothing cached, another method, an Origin) goes on to the ordinary route, which gives
the same answer; a test compares the two.
"""

import itertools
import os
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from keybearer.http import headers, metrics
from keybearer.http.entry import MAX_HEADERS
from keybearer.kit import tokens
from keybearer.kit.settings import host_name
from keybearer.sessions.cookies import SessionCookie
from keybearer.sessions.metrics import CACHE
from keybearer.sessions.model import Resolved
from keybearer.sessions.resolver import BearerResolver
from keybearer.sessions.seen import LastSeen
from keybearer.tenancy.service import Tenancy

PATH = "/api/auth/me"
_NOT_PLAIN = frozenset({b"origin", b"authorization", b"content-length", b"transfer-encoding", b"x-request-id"})


class HotMe:
    def __init__(
        self,
        app: ASGIApp,
        *,
        resolver: BearerResolver,
        cookie: SessionCookie,
        tenancy: Tenancy,
        last_seen: LastSeen,
        secure: bool,
    ) -> None:
        self._app = app
        self._resolver = resolver
        self._cookie = cookie
        self._tenancy = tenancy
        self._last_seen = last_seen
        self._headers = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            *headers.security_headers(secure=secure),
        ]
        # Request ids are unique and no secret; randomness would be a system call for each.
        self._process = os.urandom(8).hex().encode()
        self._numbers = itertools.count()
        self._count = metrics.REQUESTS.labels(PATH, "GET", "200").inc
        self._observe = metrics.DURATIONS.labels(PATH, "GET", "200").observe
        self._hit = CACHE.labels("hit").inc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        resolved = self._find(scope)
        if resolved is None:
            await self._app(scope, receive, send)
            return
        body = resolved.me_body
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                *self._headers,
                (b"content-length", str(len(body)).encode()),
                (b"x-request-id", b"%b%016x" % (self._process, next(self._numbers))),
            ],
        }
        await send(start)
        await send({"type": "http.response.body", "body": body})
        self._last_seen.note(resolved)
        self._hit()
        self._count()
        self._observe(time.perf_counter() - started)

    def _find(self, scope: Scope) -> Resolved | None:
        cookie = host = None
        size = 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"cookie":
                cookie = value if cookie is None else b""
            elif name == b"host":
                host = value if host is None else b""
            elif name in _NOT_PLAIN:
                return None
        token = self._cookie.read(cookie)
        if token is None or not host or scope["query_string"] or size > MAX_HEADERS:
            return None
        resolved = self._resolver.cached(tokens.digest(token))
        tenant = self._tenancy.directory.find(host_name(host.decode("latin-1")))
        if resolved is None or resolved.kind != "session" or tenant is None or tenant.id != resolved.tenant_id:
            return None
        return resolved
