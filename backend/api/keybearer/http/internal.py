"""The internal port: metrics and health, never routed to from outside (decision D19)."""

from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Checks = Callable[[], Awaitable[Mapping[str, str]]]


def internal_app(
    *, checks: Checks, keyring: Callable[[], Awaitable[Mapping[str, object]]], metrics: Callable[[], Awaitable[bytes]]
) -> Starlette:
    """`checks` answers what is not usable and why, empty when all is; `keyring` answers ids and digests alone."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        problems = await checks()
        return JSONResponse({"ready": not problems, "problems": dict(problems)}, 503 if problems else 200)

    async def read_metrics(_: Request) -> Response:
        return Response(await metrics(), media_type=CONTENT_TYPE_LATEST)

    async def read_keyring(_: Request) -> Response:
        return JSONResponse(dict(await keyring()))

    return Starlette(
        routes=[
            Route("/livez", live),
            Route("/readyz", ready),
            Route("/metrics", read_metrics),
            Route("/internal/keyring", read_keyring),
        ]
    )
