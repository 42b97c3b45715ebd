"""Local accounts over HTTP: register, sign in, change the password."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AliasChoices, ConfigDict, Field
from pydantic.config import JsonDict

from keybearer.http.origin import cross_site
from keybearer.http.principal import find_principal, present_person
from keybearer.http.schemas import Wire, problems
from keybearer.kit.principal import Principal
from keybearer.sessions.cookies import SessionCookie
from keybearer.sessions.routes import TenantWire
from keybearer.signin.accounts.factors import Proof
from keybearer.signin.accounts.model import Client, Credentials, Newcomer, SignedIn
from keybearer.signin.accounts.service import Accounts
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
    """`totp` or `recovery_code` where `factor_required` asked for one; `new_password` after `password_expired`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LOGIN]})

    email: str = Field(min_length=1, max_length=320)
    password: Password
    totp: str | None = Field(default=None, max_length=20)
    recovery_code: str | None = Field(default=None, max_length=100)
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


class AcceptedWire(Wire):
    """The same for a new address and for one that has an account."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"detail": _ACCEPTED}]})

    detail: str


def routes(accounts: Accounts, cookie: SessionCookie) -> APIRouter:
    router = APIRouter(tags=["sign-in"])

    def answer(tenant: Tenant, signed_in: SignedIn, status: int) -> Response:
        response = JSONResponse(_wire(tenant, signed_in).model_dump(mode="json"), status)
        if signed_in.pair is None:
            cookie.set(response, signed_in.session.token)
        return response

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
        signed_in = await accounts.register(tenant, newcomer, await _client(request, tenant, mode))
        return JSONResponse({"detail": _ACCEPTED}, 202) if signed_in is None else answer(tenant, signed_in, 201)

    @router.post(
        "/auth/login",
        response_model=SignedInWire,
        responses=problems(401, 403, 422, 429, 503),
        summary="Sign in with a password",
    )
    async def login(body: Login, request: Request, mode: Mode = None) -> Response:
        """The access token is for programs, and the session token is what a browser would have as its cookie."""
        tenant = tenant_of(request.scope)
        proof = Proof(body.totp, body.recovery_code)
        credentials = Credentials(body.email, body.password, proof, body.new_password)
        return answer(tenant, await accounts.sign_in(tenant, credentials, await _client(request, tenant, mode)), 200)

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
        await accounts.change_password(tenant_of(request.scope), principal, body.current, body.new)

    return router


async def _client(request: Request, tenant: Tenant, mode: str | None) -> Client:
    """A cookie is for pages of our own: another site's, even one that may call us, is given none."""
    browser = mode == "cookie"
    if browser:
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if origin not in {None, tenant.origin} or site not in {None, "same-origin", "none"}:
            raise cross_site()
    principal = await find_principal(request) if browser else None
    return Client(request.headers.get("user-agent", ""), browser, principal)


def _wire(tenant: Tenant, signed_in: SignedIn) -> SignedInWire:
    user, pair, room = signed_in.user, signed_in.pair, signed_in.room
    tokens: dict[str, Any] = dict.fromkeys(("access_token", "expires_in", "refresh_token", "session_token"))
    if pair is not None:
        tokens = {
            "access_token": pair.access_token,
            "expires_in": pair.expires_in,
            "refresh_token": pair.refresh_token,
            "session_token": signed_in.session.token,
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
