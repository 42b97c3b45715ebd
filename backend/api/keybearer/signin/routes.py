"""The browser's way to a provider and back, linked identities, and account deletion."""

from datetime import datetime
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import RedirectResponse

from keybearer.http.browser import FlowCookie
from keybearer.http.principal import current_principal, find_principal, present_person
from keybearer.http.schemas import Page, Wire, problems
from keybearer.identity.model import Identity
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError
from keybearer.kit.principal import Principal
from keybearer.limits.service import SignInLimits
from keybearer.lockouts.cookies import DeviceCookie
from keybearer.providers.model import Provider
from keybearer.providers.service import Providers
from keybearer.sessions.service import Sessions
from keybearer.signin.entrance import Client
from keybearer.signin.model import CONNECT, LINK, SIGN_IN, local_path
from keybearer.signin.service import Arrival, Callback, SignIn
from keybearer.tenancy.service import tenant_of

# RFC 6749 section 3.3: neither spaces, which separate scopes, nor anything that is not visible.
_SCOPE = r"^[!#-\[\]-~]{1,200}$"

Caller = Annotated[Principal, Depends(current_principal)]
ProviderName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{1,31}$")]
ReturnTo = Annotated[str, Query(max_length=512)]


_IDENTITY: JsonDict = {
    "id": "0198a7c0-5d6e-7a00-8c22-9f3b2a1c4d5e",
    "provider": "google",
    "title": "Google",
    "icon": "google",
    "email": "alice@example.com",
    "created_at": "2026-11-22T18:00:00Z",
    "last_sign_in_at": "2026-11-22T18:00:00Z",
}
_START: JsonDict = {"scopes": ["user-modify-playback-state"], "return_to": "/connections"}


def _shown(example: JsonDict) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class StartConnection(Wire):
    """What to ask the provider for. Without `scopes`, the provider's default ones."""

    model_config = _shown(_START)

    scopes: Annotated[list[Annotated[str, Field(pattern=_SCOPE)]], Field(max_length=100)] | None = None
    return_to: str = "/connections"
    connection: UUID | None = Field(default=None, description="The connection to renew, if it is one that broke.")


class AuthorizeUrl(Wire):
    """Where to send the browser."""

    model_config = _shown({"authorize_url": "https://accounts.spotify.com/authorize?client_id=abc&state=xyz"})

    authorize_url: str


class Confirmation(Wire):
    """`confirm` is the address that GET /api/auth/me shows, or the name where there is none."""

    model_config = _shown({"confirm": "alice@example.com"})

    confirm: Annotated[str, Field(max_length=400)]


class Ended(Wire):
    """How many sessions."""

    model_config = _shown({"ended": 2})

    ended: int


class IdentityWire(Wire):
    """A provider account that this person signs in with."""

    model_config = _shown(_IDENTITY)

    id: UUID
    provider: str
    title: str
    icon: str | None
    email: str | None
    created_at: datetime
    last_sign_in_at: datetime | None


class GrantEnder(Protocol):
    async def end_all(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> int: ...


class IdentityService(Protocol):
    async def identities_of(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[Identity]: ...
    async def unlink(self, tx: Transaction, tenant_id: UUID, user_id: UUID, identity_id: UUID) -> None: ...


def routes(
    db: Database,
    sign_in: SignIn,
    providers: Providers,
    identities: IdentityService,
    sessions: Sessions,
    grants: GrantEnder,
    limits: SignInLimits,
    *,
    secure: bool,
) -> APIRouter:
    router = APIRouter(tags=["sign-in"])
    cookie = FlowCookie(secure)
    _add_departures(router, sign_in, limits, cookie)
    _add_arrivals(router, sign_in, providers, sessions, limits, cookie, DeviceCookie(secure))
    _add_identities(router, db, identities, providers)
    _add_endings(router, db, sign_in, sessions, grants)
    return router


def _add_departures(router: APIRouter, sign_in: SignIn, limits: SignInLimits, cookie: FlowCookie) -> None:
    @router.get(
        "/auth/{provider}/start",
        status_code=302,
        response_class=RedirectResponse,
        responses=problems(401, 404, 409, 422, 429, 503),
        summary="Go to a provider to sign in",
    )
    async def start_sign_in(
        provider: ProviderName, request: Request, return_to: ReturnTo = "/", link: bool = False, fresh: bool = False
    ) -> Response:
        """Sends the browser to the provider to sign in, or with `link` to add it to the account.

        With `fresh`, the provider is asked to have the person prove again who they are.
        """
        linking = await current_principal(request) if link else None
        tenant, browser, back = tenant_of(request.scope), cookie.read(request), local_path(return_to)
        try:
            await limits.check_address("start")
            departure = await sign_in.begin_sign_in(tenant, provider, back, browser, linking, fresh=fresh)
        except KeybearerError as error:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            # A person followed a link: they get the page, not JSON.
            kind = LINK if linking else SIGN_IN
            return RedirectResponse(_destination(Arrival(kind, back, problem=error.code), provider), 303)
        response = RedirectResponse(departure.authorize_url, 302)
        cookie.set(response, departure.browser_secret)
        return response

    @router.post(
        "/connections/{provider}/start",
        responses=problems(401, 404, 409, 422, 503),
        tags=["connections"],
        summary="Begin to connect an account",
    )
    async def start_connection(
        provider: ProviderName, body: StartConnection, principal: Caller, request: Request, response: Response
    ) -> AuthorizeUrl:
        """Where to send the browser to connect an account."""
        departure = await sign_in.begin_connect(
            tenant_of(request.scope),
            principal,
            provider,
            tuple(body.scopes) if body.scopes is not None else None,
            local_path(body.return_to),
            body.connection,
            cookie.read(request),
        )
        cookie.set(response, departure.browser_secret)
        return AuthorizeUrl(authorize_url=departure.authorize_url)


def _add_arrivals(
    router: APIRouter,
    sign_in: SignIn,
    providers: Providers,
    sessions: Sessions,
    limits: SignInLimits,
    cookie: FlowCookie,
    device_cookie: DeviceCookie,
) -> None:
    async def arrive(provider: Provider, request: Request) -> Response:
        query, principal, source = request.query_params, await find_principal(request), device_cookie.entering(request)
        if principal is None:  # else it is somebody who connects accounts, and may come back with many
            try:
                await limits.check_address("callback")
            except KeybearerError as error:
                refused = Arrival(SIGN_IN, "/", problem=error.code)
                return RedirectResponse(_destination(refused, provider.name), 303, {"Cache-Control": "no-store"})
        callback = Callback(
            provider=provider,
            state=query.get("state", ""),
            code=query.get("code"),
            error=query.get("error"),
            issuer=query.get("iss"),
            client=Client(
                user_agent=request.headers.get("user-agent", ""),
                browser=True,
                source=source,
                principal=principal,
                flow=cookie.read(request),
            ),
        )
        arrival = await sign_in.arrive(tenant_of(request.scope), callback)
        response = RedirectResponse(_destination(arrival, provider.name), 303)
        response.headers["Cache-Control"] = "no-store"
        if arrival.session_token is not None:
            sessions.cookie.set(response, arrival.session_token)
            device_cookie.set(response, source)
        return response

    @router.get(
        "/auth/{provider}/callback",
        status_code=303,
        response_class=RedirectResponse,
        responses=problems(404, 422, 503),
        summary="Come back from a provider",
    )
    async def finish_flow(provider: ProviderName, request: Request) -> Response:
        """Where a provider sends the browser back to; always leads on to a page."""
        return await arrive(providers.get_provider(provider), request)

    for custom in (each for each in providers.all() if each.callback_path):
        router.add_api_route(
            (custom.callback_path or "").removeprefix("/api"),
            _callback_route(custom, arrive),
            status_code=303,
            methods=["GET"],
            include_in_schema=False,
        )


def _add_identities(router: APIRouter, db: Database, identities: IdentityService, providers: Providers) -> None:
    @router.get("/auth/identities", responses=problems(401), summary="Accounts that you sign in with")
    async def list_identities(principal: Caller) -> Page[IdentityWire]:
        """The provider accounts that you sign in with."""
        async with db.transaction(principal.tenant_id) as tx:
            linked = await identities.identities_of(tx, principal.tenant_id, principal.user_id)
        return Page(items=[_wire(each, providers) for each in linked])

    @router.delete(
        "/auth/identities/{identity_id}",
        status_code=204,
        responses=problems(401, 404, 409),
        summary="Sign in with an account no longer",
    )
    async def unlink_identity(identity_id: UUID, principal: Caller) -> None:
        """Stops accepting a provider account for signing in."""
        async with db.transaction(principal.tenant_id) as tx:
            await identities.unlink(tx, principal.tenant_id, principal.user_id, identity_id)


def _add_endings(router: APIRouter, db: Database, sign_in: SignIn, sessions: Sessions, grants: GrantEnder) -> None:
    @router.delete("/auth/sessions", responses=problems(401, 422), tags=["sessions"], summary="End your other sessions")
    async def end_other_sessions(
        principal: Caller, grants_too: Annotated[bool, Query(alias="grants")] = False
    ) -> Ended:
        """Ends all sessions but this one; with `grants=true`, every agent's grant too."""
        async with db.transaction(principal.tenant_id) as tx:
            ended = await sessions.end_others(principal, tx)
            if grants_too:
                await grants.end_all(tx, principal.tenant_id, principal.user_id)
        return Ended(ended=ended)

    @router.delete("/auth/me", status_code=204, responses=problems(400, 401, 403, 503), summary="Delete your account")
    async def erase_account(
        body: Confirmation, principal: Annotated[Principal, Depends(present_person)], response: Response
    ) -> None:
        """Deletes the account. Tokens are revoked, stored data becomes unreadable; the ledger keeps its shape."""
        await sign_in.erase(principal, body.confirm)
        sessions.cookie.clear(response)


def _callback_route(provider: Provider, arrive: Any) -> Any:
    async def custom_callback(request: Request) -> Response:
        response: Response = await arrive(provider, request)
        return response

    return custom_callback


def _destination(arrival: Arrival, provider: str) -> str:
    if arrival.problem is None:
        return arrival.return_to
    if arrival.kind == CONNECT:
        return "/connections?" + urlencode({"problem": arrival.problem, "provider": provider})
    if arrival.kind == LINK:
        return "/account?" + urlencode({"problem": arrival.problem, "provider": provider})
    return "/sign-in/problem?" + urlencode(
        {"code": arrival.problem, "provider": provider, "return_to": arrival.return_to}
    )


def _wire(identity: Identity, providers: Providers) -> IdentityWire:
    known = providers.find_provider(identity.provider)
    return IdentityWire(
        id=identity.id,
        provider=identity.provider,
        title=known.title if known else identity.provider,
        icon=known.icon if known else None,
        email=identity.email,
        created_at=identity.created_at,
        last_sign_in_at=identity.last_sign_in_at,
    )
