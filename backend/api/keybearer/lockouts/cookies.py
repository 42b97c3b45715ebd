"""The cookie that tells a browser which its person came in with before from all others (OWASP: device cookies)."""

import re
import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keybearer.kit import context
from keybearer.lockouts.model import Source

_SECONDS = 180 * 24 * 3600
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class DeviceCookie:
    """It opens nothing: without it, wrong guesses of strangers count for this browser too."""

    secure: bool

    @property
    def name(self) -> str:
        return "__Host-keybearer_device" if self.secure else "keybearer_device"

    def source(self, request: Request) -> Source:
        """Where the request comes from."""
        found = request.cookies.get(self.name)
        device = found if found is not None and _SECRET.fullmatch(found) else None
        return Source(device=device, address=context.request.get().address)

    def entering(self, request: Request) -> Source:
        """The same of somebody about to come in; a browser that has no secret yet gets one, to be set with `set`."""
        source = self.source(request)
        return source if source.device is not None else Source(secrets.token_urlsafe(32), source.address)

    def set(self, response: Response, source: Source) -> None:
        assert source.device is not None, "given by `entering`"
        response.set_cookie(
            self.name,
            source.device,
            max_age=_SECONDS,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )
