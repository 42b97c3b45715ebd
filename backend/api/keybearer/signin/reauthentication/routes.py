"""Stepping up."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from keybearer.factors.model import FRESH_FOR, Shown
from keybearer.http.browser import FlowCookie
from keybearer.http.principal import present_person
from keybearer.http.schemas import Wire, problems
from keybearer.kit.principal import Principal
from keybearer.lockouts.cookies import DeviceCookie
from keybearer.lockouts.model import Source
from keybearer.sessions.cookies import SessionCookie
from keybearer.signin.reauthentication.service import Reauthentication
from keybearer.tenancy.service import tenant_of

Caller = Annotated[Principal, Depends(present_person)]
Typed = Annotated[str, Field(max_length=64)]


def _shown(example: JsonDict) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class ShownWire(Wire):
    """One of them. A passkey answers the challenge of POST /api/auth/login/passkey/options."""

    model_config = _shown({"totp": "492039"})

    password: Annotated[str, Field(max_length=4096)] | None = None
    totp: Typed | None = None
    recovery_code: Typed | None = None
    passkey: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "ShownWire":
        if sum(each is not None for each in (self.password, self.totp, self.recovery_code, self.passkey)) != 1:
            raise ValueError("send one of password, totp, recovery_code and passkey")
        return self


class Reauthenticated(Wire):
    """`session_token` replaces the one that the request came with; null where it is in the cookie."""

    model_config = _shown({"valid_until": "2026-11-23T12:15:00Z", "session_token": None})

    valid_until: datetime
    session_token: str | None


def routes(service: Reauthentication, session_cookie: SessionCookie, *, secure: bool) -> APIRouter:
    router = APIRouter(tags=["sign-in"])
    flow_cookie, device_cookie = FlowCookie(secure), DeviceCookie(secure)

    @router.post(
        "/auth/reauthenticate",
        responses=problems(401, 403, 409, 422, 429, 503),
        summary="Show once more that it is you",
    )
    async def prove_again(body: ShownWire, principal: Caller, request: Request, response: Response) -> Reauthenticated:
        """Lasts 15 minutes. The session goes on under a new token; the old one ends at once."""
        source = device_cookie.entering(request)
        token = await _show(body, principal, request, source)
        device_cookie.set(response, source)
        return Reauthenticated(
            valid_until=datetime.now(UTC) + FRESH_FOR,
            session_token=session_cookie.hand_over(request, response, token),
        )

    async def _show(body: ShownWire, principal: Principal, request: Request, source: Source) -> str:
        if body.totp is not None:
            return await service.with_code(principal, Shown("totp", body.totp), source)
        if body.recovery_code is not None:
            return await service.with_code(principal, Shown("recovery_code", body.recovery_code), source)
        if body.password is not None:
            return await service.with_password(principal, body.password, source)
        assert body.passkey is not None, "the body has one of the four"
        tenant, browser = tenant_of(request.scope), flow_cookie.read(request)
        return await service.with_passkey(tenant, principal, browser, body.passkey, source)

    return router
