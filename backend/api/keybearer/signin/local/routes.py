"""Signing in by passkey, and stepping up."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from keybearer.factors.model import FRESH_FOR, Shown
from keybearer.http.browser import FlowCookie, secret_for
from keybearer.http.principal import current_principal, find_principal
from keybearer.http.schemas import Wire, problems
from keybearer.kit.principal import Principal
from keybearer.lockouts.cookies import DeviceCookie
from keybearer.lockouts.model import Source
from keybearer.sessions.cookies import SessionCookie
from keybearer.signin.local.answer import SignedIn, signed_in
from keybearer.signin.local.service import LocalSignIn, Visit
from keybearer.tenancy.service import tenant_of

Caller = Annotated[Principal, Depends(current_principal)]
Typed = Annotated[str, Field(max_length=64)]

_ASSERTION: JsonDict = {
    "id": "3q2-7w",
    "rawId": "3q2-7w",
    "type": "public-key",
    "response": {"clientDataJSON": "e30", "authenticatorData": "3q2-7w", "signature": "3q2-7w"},
}
_REQUEST: JsonDict = {
    "publicKey": {"challenge": "3q2-7w", "rpId": "keybearer.example.com", "userVerification": "required"}
}


def _shown(example: JsonDict) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class RequestOptions(Wire):
    """For `navigator.credentials.get()`, after `PublicKeyCredential.parseRequestOptionsFromJSON`."""

    model_config = _shown(_REQUEST)

    public_key: dict[str, Any] = Field(alias="publicKey")


class PasskeySignIn(Wire):
    """The authenticator's answer as its `toJSON()` has it."""

    model_config = _shown({"credential": _ASSERTION})

    credential: dict[str, Any]


class Reauthentication(Wire):
    """One of them. A passkey answers the challenge of POST /api/auth/login/passkey/options."""

    model_config = _shown({"totp": "492039"})

    password: Annotated[str, Field(max_length=4096)] | None = None
    totp: Typed | None = None
    recovery_code: Typed | None = None
    passkey: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Reauthentication":
        if sum(each is not None for each in (self.password, self.totp, self.recovery_code, self.passkey)) != 1:
            raise ValueError("send one of password, totp, recovery_code and passkey")
        return self


class Reauthenticated(Wire):
    """`session_token` replaces the one that the request came with; null where it is in the cookie."""

    model_config = _shown({"valid_until": "2026-11-23T12:15:00Z", "session_token": None})

    valid_until: datetime
    session_token: str | None


def routes(local: LocalSignIn, session_cookie: SessionCookie, *, secure: bool) -> APIRouter:
    router = APIRouter(tags=["sign-in"])
    flow_cookie, device_cookie = FlowCookie(secure), DeviceCookie(secure)
    _add_passkey(router, local, session_cookie, flow_cookie, device_cookie)
    _add_step_up(router, local, session_cookie, flow_cookie, device_cookie)
    return router


def _add_passkey(
    router: APIRouter,
    local: LocalSignIn,
    session_cookie: SessionCookie,
    flow_cookie: FlowCookie,
    device_cookie: DeviceCookie,
) -> None:
    @router.post("/auth/login/passkey/options", summary="Begin to sign in with a passkey")
    async def begin_passkey_sign_in(request: Request, response: Response) -> RequestOptions:
        """Works once, for five minutes, in this browser."""
        browser = secret_for(flow_cookie.read(request))
        options = await local.passkey_options(tenant_of(request.scope), browser)
        flow_cookie.set(response, browser)
        return RequestOptions(publicKey=options)

    @router.post("/auth/login/passkey", responses=problems(401, 403, 409, 422), summary="Sign in with a passkey")
    async def sign_in_with_passkey(body: PasskeySignIn, request: Request, response: Response) -> SignedIn:
        visit = Visit(
            browser=flow_cookie.read(request),
            source=device_cookie.entering(request),
            user_agent=request.headers.get("user-agent", ""),
            principal=await find_principal(request),
        )
        user, token = await local.with_passkey(tenant_of(request.scope), visit, body.credential)
        device_cookie.set(response, visit.source)
        return signed_in(user, session_cookie.hand_over(request, response, token))


def _add_step_up(
    router: APIRouter,
    local: LocalSignIn,
    session_cookie: SessionCookie,
    flow_cookie: FlowCookie,
    device_cookie: DeviceCookie,
) -> None:
    @router.post(
        "/auth/reauthenticate",
        responses=problems(401, 403, 409, 422, 429, 503),
        summary="Show once more that it is you",
    )
    async def prove_again(
        body: Reauthentication, principal: Caller, request: Request, response: Response
    ) -> Reauthenticated:
        """Lasts 15 minutes. The session goes on under a new token; the old one ends at once."""
        source = device_cookie.entering(request)
        token = await _show(body, principal, request, source)
        device_cookie.set(response, source)
        return Reauthenticated(
            valid_until=datetime.now(UTC) + FRESH_FOR,
            session_token=session_cookie.hand_over(request, response, token),
        )

    async def _show(body: Reauthentication, principal: Principal, request: Request, source: Source) -> str:
        if body.totp is not None:
            return await local.step_up_with_code(principal, Shown("totp", body.totp), source)
        if body.recovery_code is not None:
            return await local.step_up_with_code(principal, Shown("recovery_code", body.recovery_code), source)
        if body.password is not None:
            return await local.step_up_with_password(principal, body.password, source)
        assert body.passkey is not None, "the body has one of the four"
        tenant, browser = tenant_of(request.scope), flow_cookie.read(request)
        return await local.step_up_with_passkey(tenant, principal, browser, body.passkey, source)
