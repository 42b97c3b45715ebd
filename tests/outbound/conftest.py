"""A server on loopback that says what it was asked."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def upstream() -> AsyncIterator[int]:
    """The port of a server that echoes, redirects and sets cookies."""

    async def echo(request: Request) -> Response:
        return JSONResponse({"host": request.headers["host"], "cookie": request.headers.get("cookie")})

    async def redirect(request: Request) -> Response:
        return RedirectResponse("/echo")

    async def cookie(request: Request) -> Response:
        response = JSONResponse({})
        response.set_cookie("session", "theirs")
        return response

    async def never(request: Request) -> Response:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return Response()

    routes = [Route("/echo", echo), Route("/redirect", redirect), Route("/cookie", cookie), Route("/never", never)]
    async with serving(Starlette(routes=routes)) as port:
        yield port
