"""Runs the public and the internal port of one process on one event loop."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from keybearer.bootstrap.application import create_app
from keybearer.bootstrap.health import internal
from keybearer.bootstrap.services import open_services
from keybearer.kit.settings import Settings

_DRAIN_SECONDS = 10
_LOOK_SECONDS = 1.0
_YOUNG_OBJECTS = 20_000  # between two rounds of the collector; the default of 700 is a few requests' worth
_BACKLOG = 2048

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Signals are ours: both ports and the background work stop together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening_socket(host: str, port: int) -> socket.socket:
    """Bound before anything else starts, so that a port in use is said at once. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Naming the protocol lets asyncio switch off Nagle's delay, which costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    listener.set_inheritable(True)
    return listener


async def serve(
    settings: Settings,
    public: socket.socket,
    internal_socket: socket.socket,
    *,
    ready: Callable[[], None] = lambda: None,
    sound: Callable[[], bool] = lambda: True,
) -> None:
    """Until SIGINT or SIGTERM; then requests under way finish and what is in memory is written.

    `ready` is called once both ports answer. It ends too when `sound` says that what it stands on is gone.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with open_services(settings) as services:
        listening = [
            (server(create_app(settings, services)), public),
            (server(internal(services)), internal_socket),
        ]
        running = [asyncio.create_task(one.serve(sockets=[listener])) for one, listener in listening]
        while not all(one.started for one, _ in listening):  # noqa: ASYNC110 -- uvicorn offers no event
            await asyncio.sleep(0.005)
        _spare_the_collector()
        log.info("server.ready", public_url=settings.public_url)
        ready()
        stop = asyncio.create_task(_until(stopping, sound))
        await asyncio.wait([stop, *running], return_when=asyncio.FIRST_COMPLETED)
        log.info("server.stopping")
        services.events.stop()
        for one, _ in listening:
            one.should_exit = True
        await asyncio.gather(*running)
        stop.cancel()


def _spare_the_collector() -> None:
    """What start made lives as long as the process, so the garbage collector need not walk it at every full round."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


async def _until(stopping: asyncio.Event, sound: Callable[[], bool]) -> None:
    while not stopping.is_set() and sound():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await stopping.wait()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """On uvloop: the hot path is measured with it."""
    uvloop.run(coroutine)


def server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            ws="none",
            h11_max_incomplete_event_size=64 * 1024,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
    )
