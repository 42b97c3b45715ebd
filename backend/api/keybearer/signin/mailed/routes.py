"""What mails lead to, over HTTP. Each is a POST: opening a link, as mail scanners do, changes nothing."""

from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from keybearer.http.schemas import Wire, problems
from keybearer.signin.accounts.routes import AcceptedWire, Entry, Mode, Password, SignedInWire
from keybearer.signin.mailed.confirming import Confirming, TypedCode
from keybearer.signin.mailed.not_me import NotMe
from keybearer.signin.mailed.resetting import Resetting
from keybearer.tenancy.service import tenant_of

_TOKEN: JsonDict = {"token": "kbm_…"}
_ADDRESS: JsonDict = {"email": "alice@example.com"}
_SENT = "If there is such an account, mail says how to go on."

Token = Annotated[str, Field(min_length=1, max_length=200)]
Address = Annotated[str, Field(min_length=1, max_length=320)]


def _shown(*examples: JsonDict) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


class AddressConfirmation(Wire):
    """`token` from the link's fragment, or `email` and the six digits of `code`."""

    model_config = _shown(_TOKEN, {**_ADDRESS, "code": "492039"})

    token: Token | None = None
    email: Address | None = None
    code: str | None = Field(default=None, min_length=1, max_length=20)

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        typed = self.email is not None and self.code is not None
        if (self.token is not None) == typed or (self.token is not None and (self.email or self.code)):
            raise ValueError("send token, or email and code")
        return self

    @property
    def shown(self) -> str | TypedCode:
        if self.token is not None:
            return self.token
        return TypedCode((self.email or "").strip(), "".join((self.code or "").split()))


class AddressWire(Wire):
    """An address, whether or not anybody has it."""

    model_config = _shown(_ADDRESS)

    email: Address


class NewPassword(Wire):
    """`token` from the link's fragment, and the password to come."""

    model_config = _shown({**_TOKEN, "new": "seven slow herons over slate"})

    token: Token
    new: Password


class Report(Wire):
    """`token` from the link's fragment."""

    model_config = _shown(_TOKEN)

    token: Token


class ReportedWire(Wire):
    """`password_reset_needed`: there is a password, which lets nobody in until another one is chosen."""

    model_config = _shown({"password_reset_needed": True})

    password_reset_needed: bool


def routes(confirming: Confirming, resetting: Resetting, not_me: NotMe, entry: Entry) -> APIRouter:
    router = APIRouter(tags=["sign-in"])
    _add_confirming(router, confirming, entry)
    _add_resetting(router, resetting)

    @router.post("/auth/not-me", responses=problems(409, 422, 429), summary="Say that it was not you")
    async def report_not_me(body: Report, request: Request) -> ReportedWire:
        """Every session of yours ends."""
        return ReportedWire(password_reset_needed=await not_me.report(tenant_of(request.scope), body.token))

    return router


def _add_confirming(router: APIRouter, confirming: Confirming, entry: Entry) -> None:
    @router.post(
        "/auth/email/verify",
        response_model=SignedInWire,
        responses=problems(401, 403, 409, 422, 429, 503),
        summary="Confirm your address",
    )
    async def verify_email(body: AddressConfirmation, request: Request, mode: Mode = None) -> Response:
        """Answers as a sign-in does. Works once."""
        tenant = tenant_of(request.scope)
        client = await entry.client(request, tenant, mode)
        return entry.answer(tenant, client, await confirming.confirm(tenant, body.shown, client))

    @router.post(
        "/auth/email/verify/resend",
        status_code=202,
        responses=problems(409, 422, 429),
        summary="Send that mail once more",
    )
    async def resend_verification(body: AddressWire, request: Request) -> AcceptedWire:
        """The newest mail alone works."""
        await confirming.send_again(tenant_of(request.scope), body.email)
        return AcceptedWire(detail=_SENT)


def _add_resetting(router: APIRouter, resetting: Resetting) -> None:
    @router.post(
        "/auth/password/forgot",
        status_code=202,
        responses=problems(409, 422, 429),
        summary="Ask for a new password",
    )
    async def forgot_password(body: AddressWire, request: Request) -> AcceptedWire:
        """The answer is the same for every address."""
        await resetting.ask(tenant_of(request.scope), body.email)
        return AcceptedWire(detail=_SENT)

    @router.post(
        "/auth/password/reset",
        status_code=204,
        responses=problems(409, 422, 429),
        summary="Choose a new password",
    )
    async def reset_password(body: NewPassword, request: Request) -> None:
        """Ends every session of yours, and signs nobody in."""
        await resetting.reset(tenant_of(request.scope), body.token, body.new)
