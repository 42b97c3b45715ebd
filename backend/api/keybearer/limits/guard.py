"""Counts requests of the API before anything is looked up for them.

By the bearer secret where one is presented, else by address: agents behind one address do not get into each other's
way, and neither do the people of one office. What is a secret in shape alone counts for its address.
"""

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from keybearer.http import headers, problems
from keybearer.kit import tokens
from keybearer.kit.errors import KeybearerError
from keybearer.limits.service import RequestLimits

_API = "/api/"
_PROXY = "/api/proxy/"
# Asked for all the time: by every page, by health checks, by another site's proxy for each of its requests, and once
# for hours.
_EXEMPT = frozenset({"/api/auth/me", "/api/auth/check", "/api/health", "/api/events"})
_SECRET = re.compile(rb"kb[a-z]_[0-9A-Za-z]{20,}")
# An access token; whether it is one of ours turns out later, as with the others.
_JWT = re.compile(rb"(?i:bearer) (eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,4000})")


class RequestGuard:
    def __init__(
        self,
        app: ASGIApp,
        limits: RequestLimits,
        *,
        cookie: Callable[[bytes | None], str | None],
        known: Callable[[bytes], bool],
    ) -> None:
        """`cookie` finds the session's token in a Cookie header; `known` says whether a digest is one in use here."""
        self._app = app
        self._limits = limits
        self._cookie = cookie
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_counted(scope):
            await self._app(scope, receive, send)
            return
        digest = self._digest(scope)
        unproven = digest is not None and not self._known(digest)
        try:
            if digest is None:
                await self._limits.check_address()
            else:
                if unproven:
                    await self._limits.check_guesses()
                await self._limits.check_token(digest)
        except KeybearerError as error:
            # Answered here: further out, another site's page could not read why.
            ours = {"Keybearer-Error": error.code} if scope["path"].startswith(_PROXY) else None
            await problems.response(error, ours)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if unproven and digest is not None and not self._known(digest):
                await self._limits.count_guess()

    def _digest(self, scope: Scope) -> bytes | None:
        """Of the grant, key or session that the request brings, where its checksum fits; or of an access token."""
        presented = headers.first(scope["headers"], b"authorization")
        if presented is not None:
            if access := _JWT.fullmatch(presented):
                return tokens.digest_of(access[1])
            found = _SECRET.search(presented)
            token = found[0].decode() if found else ""
        else:
            token = self._cookie(headers.first(scope["headers"], b"cookie")) or ""
        return tokens.digest(token) if tokens.is_well_formed(token, token[:4]) else None


def _is_counted(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith(_API) and not (path in _EXEMPT and scope["method"] in {"GET", "HEAD"})
