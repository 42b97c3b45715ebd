"""The session cookie (RFC 6265bis). Its name and `Secure` follow the scheme that people reach us by."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keybearer.sessions.model import LIFETIME


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """`__Host-` makes the browser refuse the cookie unless it is Secure, host-only and for every path."""

    secure: bool

    @property
    def name(self) -> str:
        return "__Host-keybearer_session" if self.secure else "keybearer_session"

    def set(self, response: Response, token: str) -> None:
        response.set_cookie(
            self.name,
            token,
            max_age=int(LIFETIME.total_seconds()),
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def hand_over(self, request: Request, response: Response, token: str) -> str | None:
        """The token, for a body, unless it goes into the cookie: for whoever asks for that or came with one.

        So no long-lived token reaches a browser's script (`Keybearer-Session: cookie` is what our pages send).
        """
        presented = request.headers.get("cookie", "").encode("latin-1")
        if request.headers.get("keybearer-session") != "cookie" and self.read(presented) is None:
            return token
        self.set(response, token)
        return None

    def clear(self, response: Response) -> None:
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def read(self, cookie_header: bytes | None) -> str | None:
        """From the raw header, without a parser: our value is plain ASCII, and the first of the name counts."""
        if cookie_header is None:
            return None
        prefix = self.name.encode() + b"="
        for part in cookie_header.split(b"; "):
            if part.startswith(prefix):
                return part[len(prefix) :].decode("latin-1")
        return None
