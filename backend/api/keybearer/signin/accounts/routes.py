"""Local accounts over HTTP: register, sign in, change the password."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AliasChoices, ConfigDict, Field
from pydantic.config import JsonDict

from keybearer.http.browser import FlowCookie, secret_for
from keybearer.http.origin import cross_site
from keybearer.http.principal import find_principal, present_person
from keybearer.http.schemas import Wire, problems
from keybearer.kit.principal import Principal
from keybearer.lockouts.cookies import DeviceCookie
from keybearer.sessions.cookies import SessionCookie
from keybearer.sessions.routes import TenantWire
from keybearer.signin.accounts.model import Credentials, Newcomer, Second
from keybearer.signin.accounts.passkeys import PasskeySignIn
from keybearer.signin.accounts.service import Accounts
from keybearer.signin.entrance import Client, Entered
from keybearer.tenancy.model import Tenant
from keybearer.tenancy.service import tenant_of

_PERSON: JsonDict = {
    "id": "0198a7c0-11aa-7d0e-9b4c-2f1f6f6c9d20",
    "email": "alice@example.com",
    "name": "Alice",
    "avatar_url": "https://example.com/alice.png",
    "roles": ["member"],
    "tenant": {"id": "00000000-0000-7000-8000-000000000001", "name": "Keybearer"},
}
_SIGNED_IN: JsonDict = {
    "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9…",
    "token_type": "bearer",
    "expires_in": 1800,
    "refresh_token": "kbr_…",
    "session_token": "kbs_…",
    "user": _PERSON,
    "livekit_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…",
    "livekit_url": "wss://livekit.example.com",
}
_LOGIN: JsonDict = {"email": "alice@example.com", "password": "violet kettle under nine bridges"}
_ASSERTION: JsonDict = {
    "id": "3q2-7w",
    "rawId": "3q2-7w",
    "type": "public-key",
    "response": {"clientDataJSON": "e30", "authenticatorData": "3q2-7w", "signature": "3q2-7w"},
}
_CHALLENGE: JsonDict = {
    "publicKey": {"challenge": "3q2-7w", "rpId": "keybearer.example.com", "userVerification": "required"}
}
_ACCEPTED = "If the address can be registered, mail says how to go on."

Password = Annotated[str, Field(min_length=1, max_length=1024)]
Mode = Annotated[
    Literal["cookie"] | None,
    Header(alias="Keybearer-Session", description="`cookie`: the session comes as a cookie, and no token is answered."),
]


class Registration(Wire):
    """`name` may stand for `full_name`. `invitation` is what whoever runs this gave you, where one is needed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_LOGIN, "full_name": "Alice Example", "invitation": None}]}
    )

    email: str = Field(min_length=3, max_length=320)
    password: Password
    full_name: str = Field(min_length=1, max_length=200, validation_alias=AliasChoices("full_name", "name"))
    invitation: str | None = Field(default=None, max_length=200)


class Login(Wire):
    """One of `totp`, `recovery_code` and `passkey` where `factor_required` asked for it; a passkey answers the
    challenge of POST /api/auth/login/passkey/options. `new_password` after `password_expired`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_LOGIN]})

    email: str = Field(min_length=1, max_length=320)
    password: Password
    totp: str | None = Field(default=None, max_length=20)
    recovery_code: str | None = Field(default=None, max_length=100)
    passkey: dict[str, Any] | None = None
    new_password: Password | None = None


class PasswordChange(Wire):
    """The present password, and the one to come."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"current": _LOGIN["password"], "new": "seven slow herons over slate"}]}
    )

    current: Password
    new: Password


class AccountWire(Wire):
    """Who signed in."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PERSON]})

    id: UUID
    email: str | None
    name: str
    avatar_url: str | None
    roles: list[str]
    tenant: TenantWire


class SignedInWire(Wire):
    """Tokens are null where the session came as a cookie; LiveKit's are null where there is no LiveKit server."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SIGNED_IN]})

    access_token: str | None
    token_type: str
    expires_in: int | None
    refresh_token: str | None
    session_token: str | None
    user: AccountWire
    livekit_token: str | None
    livekit_url: str | None


class RequestOptions(Wire):
    """For `navigator.credentials.get()`, after `PublicKeyCredential.parseRequestOptionsFromJSON`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHALLENGE]})

    public_key: dict[str, Any] = Field(alias="publicKey")


class PasskeyLogin(Wire):
    """The authenticator's answer as its `toJSON()` has it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"credential": _ASSERTION}]})

    credential: dict[str, Any]


class AcceptedWire(Wire):
    """The same for a new address and for one that has an account."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"detail": _ACCEPTED}]})

    detail: str


def routes(accounts: Accounts, passkeys: PasskeySignIn, entry: "Entry") -> APIRouter:
    router = APIRouter(tags=["sign-in"])
    _add_passwords(router, accounts, entry)
    _add_passkeys(router, passkeys, entry)
    return router


@dataclass(frozen=True, slots=True)
class Entry:
    """The cookies that somebody comes with, and goes with."""

    session: SessionCookie
    flow: FlowCookie
    device: DeviceCookie

    @classmethod
    def of(cls, session: SessionCookie, *, secure: bool) -> "Entry":
        return cls(session, FlowCookie(secure), DeviceCookie(secure))

    async def client(self, request: Request, tenant: Tenant, mode: str | None) -> Client:
        """A cookie is for pages of our own: another site's, even one that may call us, is given none."""
        browser = mode == "cookie"
        if browser:
            origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
            if origin not in {None, tenant.origin} or site not in {None, "same-origin", "none"}:
                raise cross_site()
        return Client(
            user_agent=request.headers.get("user-agent", ""),
            browser=browser,
            source=self.device.entering(request),
            principal=await find_principal(request) if browser else None,
            flow=self.flow.read(request),
        )

    def answer(self, tenant: Tenant, client: Client, entered: Entered, status: int = 200) -> Response:
        response = JSONResponse(_wire(tenant, entered).model_dump(mode="json"), status)
        if entered.pair is None:
            self.session.set(response, entered.session.token)
            self.device.set(response, client.source)
        return response


def _add_passwords(router: APIRouter, accounts: Accounts, entry: Entry) -> None:
    @router.post(
        "/auth/register",
        status_code=201,
        response_model=SignedInWire,
        responses={202: {"model": AcceptedWire, "description": _ACCEPTED}, **problems(403, 409, 422, 429, 503)},
        summary="Register with a password",
    )
    async def register(body: Registration, request: Request, mode: Mode = None) -> Response:
        """Answers as a sign-in does; with mail it answers 202, and the mail says how to go on."""
        tenant = tenant_of(request.scope)
        newcomer = Newcomer(body.email, body.password, body.full_name, body.invitation)
        client = await entry.client(request, tenant, mode)
        entered = await accounts.register(tenant, newcomer, client)
        return (
            JSONResponse({"detail": _ACCEPTED}, 202) if entered is None else entry.answer(tenant, client, entered, 201)
        )

    @router.post(
        "/auth/login",
        response_model=SignedInWire,
        responses=problems(401, 403, 409, 422, 429, 503),
        summary="Sign in with a password",
    )
    async def login(body: Login, request: Request, mode: Mode = None) -> Response:
        """The access token is for programs, and the session token is what a browser would have as its cookie."""
        tenant = tenant_of(request.scope)
        second = Second(body.totp, body.recovery_code, body.passkey)
        credentials = Credentials(body.email, body.password, second, body.new_password)
        client = await entry.client(request, tenant, mode)
        return entry.answer(tenant, client, await accounts.sign_in(tenant, credentials, client))

    @router.post(
        "/auth/password",
        status_code=204,
        responses=problems(401, 403, 409, 422, 429, 503),
        summary="Change your password",
    )
    async def change_password(
        body: PasswordChange, request: Request, principal: Annotated[Principal, Depends(present_person)]
    ) -> None:
        """Your other sessions end."""
        source = entry.device.source(request)
        await accounts.change_password(tenant_of(request.scope), principal, body.current, body.new, source)


def _add_passkeys(router: APIRouter, passkeys: PasskeySignIn, entry: Entry) -> None:
    @router.post("/auth/login/passkey/options", responses=problems(429), summary="Begin to sign in with a passkey")
    async def begin_passkey_login(request: Request, response: Response) -> RequestOptions:
        """Works once, for five minutes, in this browser."""
        browser = secret_for(entry.flow.read(request))
        options = await passkeys.options(tenant_of(request.scope), browser)
        entry.flow.set(response, browser)
        return RequestOptions(publicKey=options)

    @router.post(
        "/auth/login/passkey",
        response_model=SignedInWire,
        responses=problems(401, 403, 409, 422, 429, 503),
        summary="Sign in with a passkey",
    )
    async def login_with_passkey(body: PasskeyLogin, request: Request, mode: Mode = None) -> Response:
        tenant = tenant_of(request.scope)
        client = await entry.client(request, tenant, mode)
        return entry.answer(tenant, client, await passkeys.sign_in(tenant, body.credential, client))


def _wire(tenant: Tenant, entered: Entered) -> SignedInWire:
    user, pair, room = entered.user, entered.pair, entered.room
    tokens: dict[str, Any] = dict.fromkeys(("access_token", "expires_in", "refresh_token", "session_token"))
    if pair is not None:
        tokens = {
            "access_token": pair.access_token,
            "expires_in": pair.expires_in,
            "refresh_token": pair.refresh_token,
            "session_token": entered.session.token,
        }
    return SignedInWire(
        **tokens,
        token_type="bearer",  # noqa: S106 -- RFC 6750's word
        user=AccountWire(
            id=user.id,
            email=user.email,
            name=user.name,
            avatar_url=user.avatar_url,
            roles=[user.role],
            tenant=TenantWire(id=tenant.id, name=tenant.name),
        ),
        livekit_token=room.token if room else None,
        livekit_url=room.url if room else None,
    )
