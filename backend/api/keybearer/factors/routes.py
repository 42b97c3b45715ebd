"""People see, add and remove their factors."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import segno
from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from keybearer.factors.enrolling import Enrolling
from keybearer.factors.model import Factor
from keybearer.http.browser import FlowCookie, secret_for
from keybearer.http.principal import current_principal, present_person
from keybearer.http.schemas import Wire, problems
from keybearer.kit.principal import Principal
from keybearer.lockouts.cookies import DeviceCookie
from keybearer.sessions import device
from keybearer.sessions.cookies import SessionCookie
from keybearer.tenancy.service import tenant_of

Caller = Annotated[Principal, Depends(current_principal)]
Person = Annotated[Principal, Depends(present_person)]

_ID = "0198c1aa-7c1b-7e00-9a00-3d2f1b0c9e8d"
_FACTOR: JsonDict = {
    "id": _ID,
    "kind": "totp",
    "name": "Authenticator app",
    "created_at": "2026-11-23T12:00:00Z",
    "last_used_at": "2026-11-23T12:00:00Z",
}
_CODES: list[Any] = ["k3m9-x0qa-7vtz", "0p2c-8wne-51rd"]
_TOTP: JsonDict = {
    "id": _ID,
    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "otpauth_url": "otpauth://totp/Keybearer:alice%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Keybearer",
    "qr_svg": "<svg>…</svg>",
}
_CREATION: JsonDict = {
    "publicKey": {
        "rp": {"id": "keybearer.example.com", "name": "Keybearer"},
        "user": {"id": "AZjBqnwbfgCaAD0vGwyejQ", "name": "alice@example.com", "displayName": "Alice"},
        "challenge": "3q2-7w",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    }
}
_CREDENTIAL: JsonDict = {
    "id": "3q2-7w",
    "rawId": "3q2-7w",
    "type": "public-key",
    "response": {"clientDataJSON": "e30", "attestationObject": "o2M"},
}


def _shown(example: JsonDict) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class FactorWire(Wire):
    """A second factor of yours."""

    model_config = _shown(_FACTOR)

    id: UUID
    kind: str = Field(description="totp or passkey")
    name: str
    created_at: datetime
    last_used_at: datetime | None


class FactorList(Wire):
    """All of them, how many recovery codes were not used yet, and whether you have a password, which is the first
    factor.
    """

    model_config = _shown({"items": [_FACTOR], "next": None, "recovery_codes_left": 10, "has_password": True})

    items: list[FactorWire]
    next: None = None
    recovery_codes_left: int
    has_password: bool


class TotpWire(Wire):
    """For the authenticator app: as a picture, as an address, or to type. It is not shown again."""

    model_config = _shown(_TOTP)

    id: UUID
    secret: str = Field(description="Base32")
    otpauth_url: str
    qr_svg: str


class TotpCode(Wire):
    """What the app shows now."""

    model_config = _shown({"id": _ID, "code": "492039"})

    id: UUID
    code: Annotated[str, Field(max_length=16)]


class RecoveryCodes(Wire):
    """Each works once. They are not shown again; earlier ones are void."""

    model_config = _shown({"recovery_codes": _CODES})

    recovery_codes: list[str]


class TotpConfirmed(Wire):
    """`session_token` replaces the one that the request came with; null where it is in the cookie."""

    model_config = _shown({"recovery_codes": _CODES, "session_token": None})

    recovery_codes: list[str]
    session_token: str | None


class CreationOptions(Wire):
    """For `navigator.credentials.create()`, after `PublicKeyCredential.parseCreationOptionsFromJSON`."""

    model_config = _shown(_CREATION)

    public_key: dict[str, Any] = Field(alias="publicKey")


class NewPasskey(Wire):
    """`credential` is the authenticator's answer as its `toJSON()` has it. Without a name, it gets the browser's."""

    model_config = _shown({"credential": _CREDENTIAL, "name": "Work laptop"})

    credential: dict[str, Any]
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None


class PasskeyAdded(Wire):
    """Recovery codes come with the first factor alone. `session_token` as with TOTP."""

    model_config = _shown(
        {"id": _ID, "kind": "passkey", "name": "Work laptop", "recovery_codes": None, "session_token": None}
    )

    id: UUID
    kind: str
    name: str
    recovery_codes: list[str] | None
    session_token: str | None


def routes(enrolling: Enrolling, session_cookie: SessionCookie, *, secure: bool) -> APIRouter:
    router = APIRouter(tags=["factors"])
    _add_factors(router, enrolling)
    _add_totp(router, enrolling, session_cookie, DeviceCookie(secure))
    _add_passkeys(router, enrolling, session_cookie, FlowCookie(secure), DeviceCookie(secure))
    return router


def _add_factors(router: APIRouter, enrolling: Enrolling) -> None:
    @router.get("/auth/factors", responses=problems(401), summary="Your second factors")
    async def list_factors(principal: Caller) -> FactorList:
        found, left, password = await enrolling.list_own(principal)
        return FactorList(items=[_wire(each) for each in found], recovery_codes_left=left, has_password=password)

    @router.delete(
        "/auth/factors/{factor_id}",
        status_code=204,
        responses=problems(401, 403, 404),
        summary="Remove a second factor",
    )
    async def remove_factor(factor_id: UUID, principal: Person) -> None:
        """With the last one go the recovery codes."""
        await enrolling.remove(principal, factor_id)

    @router.post(
        "/auth/factors/recovery-codes",
        responses=problems(401, 403, 409, 503),
        summary="Make new recovery codes",
    )
    async def renew_recovery_codes(principal: Person) -> RecoveryCodes:
        return RecoveryCodes(recovery_codes=await enrolling.renew_codes(principal))


def _add_totp(
    router: APIRouter, enrolling: Enrolling, session_cookie: SessionCookie, device_cookie: DeviceCookie
) -> None:
    @router.post("/auth/factors/totp", responses=problems(401, 403), summary="Begin to add an authenticator app")
    async def begin_totp(principal: Person) -> TotpWire:
        """It counts once it was confirmed; what there was until then stays in force."""
        begun = await enrolling.begin_totp(principal)
        return TotpWire(
            id=begun.id, secret=begun.seed, otpauth_url=begun.otpauth_url, qr_svg=_picture(begun.otpauth_url)
        )

    @router.post(
        "/auth/factors/totp/confirm",
        responses=problems(401, 403, 404, 503),
        summary="Confirm the app with a code that it shows",
    )
    async def confirm_totp(body: TotpCode, principal: Person, request: Request, response: Response) -> TotpConfirmed:
        """From here on, the app is a factor, in place of an earlier one."""
        source = device_cookie.entering(request)
        codes, token = await enrolling.confirm_totp(principal, body.id, body.code, source)
        device_cookie.set(response, source)
        return TotpConfirmed(recovery_codes=codes, session_token=session_cookie.hand_over(request, response, token))


def _add_passkeys(
    router: APIRouter,
    enrolling: Enrolling,
    session_cookie: SessionCookie,
    flow_cookie: FlowCookie,
    device_cookie: DeviceCookie,
) -> None:
    @router.post("/auth/passkeys/options", responses=problems(401, 403), summary="Begin to add a passkey")
    async def begin_passkey(principal: Person, request: Request, response: Response) -> CreationOptions:
        """Works once, for five minutes, in this browser."""
        browser = secret_for(flow_cookie.read(request))
        options = await enrolling.passkey_options(tenant_of(request.scope), principal, browser)
        flow_cookie.set(response, browser)
        return CreationOptions(publicKey=options)

    @router.post(
        "/auth/passkeys",
        status_code=201,
        responses=problems(401, 403, 409, 422, 503),
        summary="Add the passkey that was made",
    )
    async def add_passkey(body: NewPasskey, principal: Person, request: Request, response: Response) -> PasskeyAdded:
        source = device_cookie.entering(request)
        name = body.name or device.describe(request.headers.get("user-agent", ""))
        passkey_id, codes, token = await enrolling.add_passkey(
            tenant_of(request.scope), principal, flow_cookie.read(request), body.credential, name, source
        )
        device_cookie.set(response, source)
        return PasskeyAdded(
            id=passkey_id,
            kind="passkey",
            name=name,
            recovery_codes=codes,
            session_token=session_cookie.hand_over(request, response, token),
        )


def _wire(factor: Factor) -> FactorWire:
    return FactorWire.model_validate(factor)


def _picture(url: str) -> str:
    """Black on white in either theme: cameras need it so."""
    return segno.make(url, error="m", micro=False).svg_inline(scale=4, dark="#000", light="#fff")
