"""`GET /api/auth/me` from memory, in front of the framework: the one call that every page and proxy makes all the time.

Whatever is not the plain case (nothing cached, another method, an Origin) goes on to the ordinary route, which gives
the same answer; a test compares the two.
"""

import itertools
import os
import time
from uuid import UUID

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
# Names of tenants with whatever ports clients add.
_MAX_HOSTS = 1000


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
        self._prefix = cookie.name.encode() + b"="
        self._tenancy = tenancy
        self._directory = tenancy.directory
        self._tenant_ids: dict[bytes, UUID] = {}
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
        sent = dict(scope["headers"])
        if len(sent) != len(scope["headers"]) or not _NOT_PLAIN.isdisjoint(sent) or scope["query_string"]:
            return None
        cookie, host = sent.get(b"cookie"), sent.get(b"host")
        if cookie is None or host is None or sum(map(len, sent)) + sum(map(len, sent.values())) > MAX_HEADERS:
            return None
        digest = self._digest(cookie)
        resolved = self._resolver.cached(digest) if digest is not None else None
        if resolved is None or resolved.kind != "session" or resolved.tenant_id != self._tenant_id(host):
            return None
        return resolved

    def _digest(self, cookie: bytes) -> bytes | None:
        if cookie.startswith(self._prefix) and b";" not in cookie:
            return tokens.digest_of(cookie[len(self._prefix) :])
        token = self._cookie.read(cookie)
        return tokens.digest(token) if token is not None else None

    def _tenant_id(self, host: bytes) -> UUID | None:
        """Remembered as the header was written, until a tenant changes."""
        if self._directory is not self._tenancy.directory:
            self._directory = self._tenancy.directory
            self._tenant_ids.clear()
        found = self._tenant_ids.get(host)
        if found is None:
            tenant = self._directory.find(host_name(host.decode("latin-1")))
            found = tenant.id if tenant is not None else None
            if found is not None and len(self._tenant_ids) < _MAX_HOSTS:
                self._tenant_ids[host] = found
        return found
