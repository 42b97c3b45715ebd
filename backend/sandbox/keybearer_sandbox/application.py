"""The one ASGI application: every fake provider below its own path, and the endpoints for tests beside them."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from keybearer_sandbox.answers import Json
from keybearer_sandbox.consent import pages
from keybearer_sandbox.control.routes import ControlRoutes
from keybearer_sandbox.providers import github_site, google_site, oidc_site, spotify_site
from keybearer_sandbox.sandbox import Sandbox


def create_application(sandbox: Sandbox) -> Starlette:
    sites = {
        "google": google_site.routes(sandbox),
        "spotify": spotify_site.routes(sandbox),
        "github": github_site.routes(sandbox),
        "oidc": oidc_site.routes(sandbox),
    }
    return Starlette(
        routes=[
            Route("/", _welcome),
            Route("/health", _health),
            Route(pages.STYLESHEET_PATH, _stylesheet),
            *ControlRoutes(sandbox).routes(),
            *(Mount(f"/{name}", Router(routes, redirect_slashes=False)) for name, routes in sites.items()),
        ],
        exception_handlers={404: _not_found, 405: _wrong_method},
    )


async def _welcome(request: Request) -> Response:
    return pages.notice("Keybearer sandbox", "Fake providers are running here. Nothing real is behind them.")


async def _health(request: Request) -> Response:
    return Json({"status": "ok"})


async def _stylesheet(request: Request) -> Response:
    return pages.stylesheet()


async def _not_found(request: Request, error: Exception) -> Response:
    path = request.scope["path"]
    if path.startswith("/spotify/"):
        return Json({"error": {"status": 404, "message": "Service not found"}}, 404)
    if path.startswith("/google/"):
        message = "Requested entity was not found."
        return Json({"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}, 404)
    return Json({"message": "Not Found", "status": "404"}, 404)


async def _wrong_method(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    return Json({"error": {"status": 405, "message": "Method not allowed"}}, 405, headers)
