"""How a route learns who is calling; bootstrap installs the authenticator that `sessions` implements."""

from typing import Protocol

from fastapi import Request

from keybearer.kit.errors import Forbidden, NotSignedIn
from keybearer.kit.principal import Principal


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> Principal | None: ...


async def find_principal(request: Request) -> Principal | None:
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.authenticate(request)


async def current_principal(request: Request) -> Principal:
    principal = await find_principal(request)
    if principal is None:
        raise not_signed_in()
    return principal


async def present_person(request: Request) -> Principal:
    """Somebody who signed in, and not an API key of theirs: what a stolen key must not reach."""
    principal = await current_principal(request)
    if principal.credential == "api_key":
        raise Forbidden("session_needed", "An API key may not do this. Sign in, and do it with your session.")
    return principal


def not_signed_in() -> NotSignedIn:
    return NotSignedIn("not_signed_in", "Sign in, then try again. Your session may have ended.")
