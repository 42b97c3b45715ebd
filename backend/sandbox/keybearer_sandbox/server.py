"""Runs a sandbox as a real HTTP server (and an SMTP one) until it is told to stop."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from keybearer_sandbox.answers import TRANSPORT
from keybearer_sandbox.application import create_application
from keybearer_sandbox.inbox import smtp
from keybearer_sandbox.sandbox import Sandbox
from keybearer_sandbox.settings import Settings


@dataclass(frozen=True)
class Listening:
    url: str
    smtp_port: int | None


@dataclass(frozen=True)
class ServerOptions:
    """Ports of 0 take any free one; `smtp_port` None opens no SMTP listener."""

    host: str
    port: int
    redirect_uris: tuple[str, ...]
    public_url: str | None = None
    smtp_port: int | None = None
    state_file: Path | None = None
    until_stdin_closes: bool = False


async def serve(options: ServerOptions, ready: Callable[[Listening], None]) -> None:
    """Serves until SIGTERM, SIGINT or, where asked for, the end of standard input."""
    with _listen(options.host, options.port) as listener:
        base_url = (options.public_url or _url(listener)).rstrip("/")
        sandbox = Sandbox(Settings(base_url, options.redirect_uris, options.state_file))
        server = _Server(_configuration(sandbox), sandbox.closing)
        async with AsyncExitStack() as stack:
            smtp_port = await _open_inbox(stack, sandbox, options)
            if options.until_stdin_closes:
                _stop_when_stdin_closes(server)
            server.when_started = lambda: ready(Listening(base_url, smtp_port))
            await server.serve(sockets=[listener])


async def _open_inbox(stack: AsyncExitStack, sandbox: Sandbox, options: ServerOptions) -> int | None:
    if options.smtp_port is None:
        return None
    mail = await smtp.listen(sandbox.inbox, options.host, options.smtp_port)
    stack.callback(mail.close)
    port: int = mail.sockets[0].getsockname()[1]
    return port


class _Server(uvicorn.Server):
    """Says when it accepts connections, and wakes what hangs on purpose before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing
        self.when_started: Callable[[], None] = lambda: None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops on a signal as uvicorn does, but does not raise it again: a wanted end is exit status 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.when_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)


class _TransportInState:
    """Puts the connection where an endpoint can close it without an answer."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # type: ignore[misc]  # of the uvicorn protocol that it is mixed into
        self.app_state = {**self.app_state, TRANSPORT: transport}


def _configuration(sandbox: Sandbox) -> uvicorn.Config:
    protocol = type("SandboxProtocol", (_TransportInState, AutoHTTPProtocol), {})
    return uvicorn.Config(
        create_application(sandbox),
        http=protocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )


def _stop_when_stdin_closes(server: uvicorn.Server) -> None:
    """Reads in a thread, because an event loop cannot watch every kind of standard input."""

    def watch() -> None:
        while os.read(0, 4096):
            continue
        server.should_exit = True

    threading.Thread(target=watch, name="stdin", daemon=True).start()


def _listen(host: str, port: int) -> socket.socket:
    """asyncio sends small answers at once only on sockets that name TCP, which `socket.create_server` does not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
