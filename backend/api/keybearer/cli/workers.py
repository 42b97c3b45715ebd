"""`keybearer serve --workers N`: several processes on one public socket, and a parent that owns the internal port.

The parent answers readiness when every worker is ready, the metrics of all of them together, and the oldest keyring
revision, so that a rotation never believes a worker that has not reloaded.
"""

import asyncio
import ctypes
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import structlog
import typer
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import ASGIApp

from keybearer.cli import failures, serving
from keybearer.http.internal import internal_app
from keybearer.kit.errors import ConfigurationError
from keybearer.kit.settings import Settings

_RESTART_SECONDS = 1.0
_STOP_SECONDS = 30.0
_REFUSED = 78  # EX_CONFIG of sysexits.h: starting it again would not help
_PROGRAM = "from keybearer.cli.workers import work; work()"
_PR_SET_PDEATHSIG = 1
_METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"

# To a socket in a folder of ours; by default each client loads the whole certificate store first.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

log = structlog.get_logger(__name__)


def serve(settings: Settings, public: socket.socket, internal: socket.socket, count: int) -> None:
    """Until SIGINT or SIGTERM. Raises ConfigurationError when a worker refuses to start with these settings."""
    with tempfile.TemporaryDirectory(prefix="keybearer-") as folder:
        metrics = Path(folder) / "metrics"
        metrics.mkdir()
        workers = [_Worker(number, Path(folder), public) for number in range(count)]
        serving.run(_oversee(settings, workers, internal, metrics))


def work() -> None:
    """A worker: the public socket comes as a descriptor, its own internal port is a socket in the parent's folder."""
    from keybearer.kit import logs, settings

    _end_with(parent=int(sys.argv[3]))
    found = settings.read()
    logs.configure(level=found.log_level, style=found.log_format)
    public = socket.socket(fileno=int(sys.argv[1]))
    private = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    private.bind(sys.argv[2])
    private.listen()
    try:
        with failures.explained():
            serving.run(serving.serve(found, public, private))
    except typer.Exit:
        raise SystemExit(_REFUSED) from None


class _Worker:
    """One child process, started again when it dies."""

    def __init__(self, number: int, folder: Path, public: socket.socket) -> None:
        self._number = number
        self._folder = folder
        self._public = public
        self._starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def refused(self) -> bool:
        """On its first start: later ones may be refused because the database is away, which passes."""
        return self._starts == 1 and self.process is not None and self.process.poll() == _REFUSED

    @property
    def _socket(self) -> Path:
        return self._folder / f"worker-{self._number}-{self._starts}"

    def start(self) -> None:
        self._starts += 1
        descriptor = self._public.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(descriptor), str(self._socket), str(os.getpid())],
            pass_fds=(descriptor,),
            env={**os.environ, _METRICS_DIR: str(self._folder / "metrics")},
            process_group=0,
        )

    async def ask(self, path: str) -> Mapping[str, Any] | None:
        """The answer of its internal port; None when it gives none."""
        transport = httpx2.AsyncHTTPTransport(uds=str(self._socket), verify=_NO_CERTIFICATES)
        try:
            async with httpx2.AsyncClient(transport=transport, timeout=3, trust_env=False) as client:
                answer: Mapping[str, Any] = (await client.get(f"http://worker{path}")).json()
                return answer
        except (httpx2.HTTPError, ValueError):
            return None


async def _oversee(settings: Settings, workers: list[_Worker], internal: socket.socket, metrics: Path) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    for worker in workers:
        worker.start()
    server = serving.server(_internal(workers, metrics))
    answering = asyncio.create_task(server.serve(sockets=[internal]))
    log.info("server.workers_started", workers=len(workers), public_url=settings.public_url)
    while not stopping.is_set() and not any(worker.refused for worker in workers):
        for worker in workers:
            _keep_running(worker, metrics)
        with suppress(TimeoutError):
            async with asyncio.timeout(_RESTART_SECONDS):
                await stopping.wait()
    await _stop(workers)
    server.should_exit = True
    await answering
    if not stopping.is_set():
        raise ConfigurationError("A worker refused to start, so none runs; what it said is above.")


def _end_with(parent: int) -> None:
    """A parent that is killed cannot stop its workers, so the kernel tells them; unless it was gone before we asked."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)


def _keep_running(worker: _Worker, metrics: Path) -> None:
    process = worker.process
    if process is not None and process.poll() is not None and not worker.refused:
        log.error("server.worker_died", pid=process.pid, status=process.returncode)
        mark_process_dead(process.pid, str(metrics))  # type: ignore[no-untyped-call]  # the library has no types here
        worker.start()


async def _stop(workers: list[_Worker]) -> None:
    running = [worker.process for worker in workers if worker.process is not None]
    for process in running:
        process.terminate()
    deadline = asyncio.get_running_loop().time() + _STOP_SECONDS
    for process in running:
        while process.poll() is None and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 -- a process
            await asyncio.sleep(0.05)
        if process.poll() is None:
            log.error("server.worker_killed", pid=process.pid)
            process.kill()
            process.wait()


def _agreed(answers: list[Mapping[str, Any]]) -> dict[str, object]:
    """What all workers say. Where they differ they are in the middle of a reload, and nothing has been taken yet."""
    first = answers[0]
    return {name: value if all(each[name] == value for each in answers) else None for name, value in first.items()}


def _internal(workers: list[_Worker], metrics: Path) -> ASGIApp:
    async def checks() -> Mapping[str, str]:
        answers = await asyncio.gather(*(worker.ask("/readyz") for worker in workers))
        found: dict[str, str] = {}
        for answer in answers:
            found.update({"workers": "A worker does not answer."} if answer is None else answer["problems"])
        return found

    async def keyring() -> Mapping[str, object]:
        answers = [await worker.ask("/internal/keyring") for worker in workers]
        known = [answer for answer in answers if answer is not None]
        return _agreed(known) if len(known) == len(answers) else {"revision": None}

    async def read_metrics() -> bytes:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(metrics))  # type: ignore[no-untyped-call]  # the library has no types here
        return generate_latest(registry)

    return internal_app(checks=checks, keyring=keyring, metrics=read_metrics)
