"""`python -m keybearer_agent.worker`: answers calls of a LiveKit server as the agent `aide`, several at once.

Its load is the share of its places that are taken, never the CPU: a machine that is busy for another reason would make
it refuse, and the server drops a dispatch that nobody takes. SIGTERM lets the calls in progress end first.

For an agent of your own, call `prepare()` before anything imports livekit.agents, then `serve(NAME, entry)`.
"""

import asyncio
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from livekit.agents import AgentServer, JobContext

FACTS_PORT = 8081
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """`drain_seconds` is how long calls may last after SIGTERM. Port 0 takes any."""

    jobs_per_worker: int = 4
    drain_seconds: int = 3600
    port: int = FACTS_PORT
    metrics_port: int | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises ValueError, which names the variable."""
        metrics = environment.get("KEYBEARER_METRICS_PORT")
        return cls(
            jobs_per_worker=_number(environment, "KEYBEARER_JOBS_PER_WORKER", cls.jobs_per_worker, least=1),
            drain_seconds=_number(environment, "KEYBEARER_DRAIN_SECONDS", cls.drain_seconds, least=1),
            port=_number(environment, "KEYBEARER_WORKER_PORT", cls.port, least=0),
            metrics_port=_number(environment, "KEYBEARER_METRICS_PORT", 0, least=0) if metrics else None,
        )


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """What livekit-agents and prometheus-client read while they are imported, in this process and in each job's."""
    if "PROMETHEUS_MULTIPROC_DIR" not in environment:
        environment["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="keybearer-metrics-")
    os.makedirs(environment["PROMETHEUS_MULTIPROC_DIR"], exist_ok=True)
    environment.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")  # 244 MB of speech models, unused by text


def load(active_jobs: int, jobs_per_worker: int) -> float:
    return active_jobs / jobs_per_worker


def threshold(jobs_per_worker: int) -> float:
    """Between the load with one place left and the full one: a worker takes calls until each place is taken."""
    return 1 - 0.5 / jobs_per_worker


def server(name: str, entry: "Callable[[JobContext], Awaitable[None]]", settings: Settings) -> "AgentServer":
    from livekit.agents import AgentServer

    made = AgentServer(
        load_fnc=lambda running: load(len(running.active_jobs), settings.jobs_per_worker),
        load_threshold=threshold(settings.jobs_per_worker),
        # As many as places: the library divides its threshold by them when calls arrive at an idle worker together.
        num_idle_processes=settings.jobs_per_worker,
        drain_timeout=settings.drain_seconds,
        port=settings.port,
        prometheus_port=settings.metrics_port,
    )
    made.rtc_session(entry, agent_name=name)
    return made


def serve(name: str, entry: "Callable[[JobContext], Awaitable[None]]") -> int:
    """Runs until SIGTERM or SIGINT, then drains; a second signal ends at once. Answers the exit code."""
    from livekit.agents.cli.log import setup_logging

    setup_logging(os.environ.get("LIVEKIT_LOG_LEVEL", "INFO"), devmode=False, console=False)
    try:
        settings = Settings.read()
    except ValueError:
        _logger.exception("worker.misconfigured")
        return 2
    return asyncio.run(_until_asked(server(name, entry, settings)))


async def _until_asked(worker: "AgentServer") -> int:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _ask, asked)
    running = asyncio.create_task(worker.run())
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    failed = running.done() and running.exception() is not None
    if failed:
        _logger.error("worker.failed", exc_info=running.exception())
    await _drained(worker)
    await worker.aclose()
    await asyncio.gather(running, return_exceptions=True)
    return 1 if failed else 0


def _ask(asked: asyncio.Event) -> None:
    if asked.is_set():
        os._exit(1)
    asked.set()


async def _drained(worker: "AgentServer") -> None:
    try:
        await worker.drain()
    except TimeoutError:
        _logger.warning("worker.drain_timed_out", extra={"active_jobs": len(worker.active_jobs)})


def _number(environment: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text: Any = environment.get(name) or default
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name} must be a whole number from {least}, and is {text!r}.")
    return number


def main() -> int:
    prepare()
    from keybearer_agent import aide

    return serve(aide.NAME, aide.entry)


if __name__ == "__main__":
    sys.exit(main())
