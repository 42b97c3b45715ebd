"""The cookie that binds what a browser began to that browser: flows to providers, and challenges to authenticators."""

import re
import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

_SECONDS = 3600
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def secret_for(presented: str | None) -> str:
    """What the browser's cookie holds already, since its tabs share it; a new one for anything not made here."""
    if presented is not None and _SECRET.fullmatch(presented):
        return presented
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class FlowCookie:
    secure: bool

    @property
    def name(self) -> str:
        # As with the session's cookie: the prefix keeps other hosts of the same site from planting one of theirs.
        return "__Host-keybearer_flow" if self.secure else "keybearer_flow"

    def read(self, request: Request) -> str | None:
        return request.cookies.get(self.name)

    def set(self, response: Response, secret: str) -> None:
        response.set_cookie(
            self.name, secret, max_age=_SECONDS, path="/", secure=self.secure, httponly=True, samesite="lax"
        )
        response.headers["Cache-Control"] = "no-store"
