"""The public application: routes of every domain behind the guards that all of them share."""

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Scope

from keybearer import __version__
from keybearer.bootstrap.services import Services
from keybearer.events import routes as events
from keybearer.factors import routes as factors
from keybearer.grants import routes as grants
from keybearer.http import problems
from keybearer.http.document import document, operation_id
from keybearer.http.entry import Entry
from keybearer.http.origin import OriginGuard
from keybearer.http.principal import current_principal
from keybearer.http.reference import reference_page
from keybearer.http.schemas import About, Health
from keybearer.http.ui import Ui
from keybearer.kit.settings import Settings
from keybearer.ledger import routes as ledger
from keybearer.limits.guard import RequestGuard
from keybearer.providers import routes as providers
from keybearer.proxy import routes as proxy
from keybearer.rooms import routes as rooms
from keybearer.sessions import routes as sessions
from keybearer.sessions.api_keys import routes as api_keys
from keybearer.sessions.hot import HotMe
from keybearer.sessions.programs import routes as programs
from keybearer.signin import routes as signin
from keybearer.signin.accounts import routes as accounts
from keybearer.signin.mailed import routes as mailed
from keybearer.signin.reauthentication import routes as reauthentication
from keybearer.tenancy.service import HostGuard, tenant_of
from keybearer.vault import routes as vault

_BEARER_PREFIXES = ("/api/proxy/", "/api/health")


def create_app(settings: Settings, services: Services) -> ASGIApp:
    """From the outside in: the hot path, then request id, sizes and headers, host, origin, limits, routes."""
    counted = RequestGuard(
        api(settings, services),
        services.request_limits,
        cookie=services.sessions.cookie.read,
        known=lambda digest: services.resolver.cached(digest) is not None,
    )
    guarded = HostGuard(
        OriginGuard(counted, own_origin=_own_origin, allowed=settings.cors_origins),
        services.tenancy,
        bearer_prefixes=_BEARER_PREFIXES,
    )
    entry = Entry(guarded, secure=settings.secure, trusted_proxies=settings.trusted_proxies)
    return HotMe(
        entry,
        resolver=services.resolver,
        cookie=services.sessions.cookie,
        tenancy=services.tenancy,
        last_seen=services.last_seen,
        secure=settings.secure,
    )


def api(settings: Settings, services: Services) -> FastAPI:
    app = FastAPI(
        title="Keybearer",
        version=__version__,
        description="Lets AI agents act for people without ever holding their keys.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    app.state.authenticator = services.sessions
    problems.install(app)
    _add_routes(app, settings, services)
    _add_reference(app, public=settings.public_docs)
    if settings.ui_dir is not None:
        app.mount("/", Ui(settings.ui_dir), name="ui")
    return app


def _add_routes(app: FastAPI, settings: Settings, services: Services) -> None:
    @app.get("/api", tags=["about"], summary="What this is")
    async def read_about() -> About:
        links = {"health": "/api/health", "openapi": "/api/openapi.json", "docs": "/api/docs"}
        return About(name="keybearer", version=__version__, links=links)

    @app.get("/api/health", tags=["about"], summary="Whether this answers")
    async def read_health() -> Health:
        return Health(status="ok")

    entry = accounts.Entry.of(services.sessions.cookie, secure=settings.secure)
    # Fixed words come before /auth/{provider}/….
    for router in (
        sessions.routes(services.sessions),
        accounts.routes(services.people.accounts, services.people.passkey_sign_in, entry),
        mailed.routes(services.people.confirming, services.people.resetting, services.people.not_me, entry),
        programs.routes(services.program_tokens),
        api_keys.routes(services.api_keys),
        signin.routes(
            services.db,
            services.sign_in,
            services.providers,
            services.identities,
            services.sessions,
            services.grants,
            services.sign_in_limits,
            secure=settings.secure,
        ),
        reauthentication.routes(services.people.reauthentication, services.sessions.cookie, secure=settings.secure),
        factors.routes(services.people.enrolling, services.sessions.cookie, secure=settings.secure),
        providers.routes(services.providers),
        vault.routes(
            services.vault,
            services.providers,
            services.grants.agents_of,
            services.grants.end_grants_of,
            services.people.step_up.require,
        ),
        grants.routes(services.grants, services.providers),
        ledger.routes(services.ledger_reading),
        events.routes(services.events, services.sessions.on_end),
        proxy.routes(services.proxy),
        rooms.routes(services.rooms),
    ):
        app.include_router(router, prefix="/api")
    app.include_router(programs.well_known(services.access_tokens))


def _add_reference(app: FastAPI, *, public: bool) -> None:
    """The API's own description asks for sign-in unless the operator publishes it."""
    guards = [] if public else [Depends(current_principal)]

    @app.get("/api/openapi.json", include_in_schema=False, dependencies=guards)
    async def openapi() -> Response:
        return JSONResponse(document(app))

    @app.get("/api/docs", include_in_schema=False, dependencies=guards)
    async def reference(_: Request) -> Response:
        return reference_page(document(app))


def _own_origin(scope: Scope) -> str:
    return tenant_of(scope).origin
