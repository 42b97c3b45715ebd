"""A real LiveKit server, and workers as processes of their own."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from agent.conftest import connected, product  # noqa: F401 - a whole Keybearer, and Alice connected to Spotify in it
from livekit import api, rtc

KEY, SECRET = "key", "a-secret-of-32-bytes-for-tests-00"
PATIENCE = 30.0


@dataclass(frozen=True)
class LiveKit:
    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {"LIVEKIT_URL": self.url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}

    def client(self) -> api.LiveKitAPI:
        return api.LiveKitAPI(self.url, KEY, SECRET)


@dataclass
class Worker:
    """`python -m keybearer_agent.worker`, whose facts are at `url`."""

    process: asyncio.subprocess.Process
    url: str
    metrics_url: str
    log: Path

    async def active_jobs(self) -> int:
        async with httpx2.AsyncClient() as client:
            facts = (await client.get(f"{self.url}/worker")).json()
        return int(facts.get("active_jobs", 0))  # the library leaves zeros out

    async def until_logged(self, words: str) -> None:
        await until(lambda: words in self.log.read_text(), f"the worker logs {words!r}")

    async def until_active(self, jobs: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.active_jobs() != jobs:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.1)

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@dataclass
class Caller:
    """A person in a room, who writes and reads."""

    room: rtc.Room
    heard: list[str] = field(default_factory=list)

    async def say(self, words: str) -> str:
        """Answers what the agent says to it."""
        before = len(self.heard)
        await self.room.local_participant.send_text(words, topic="lk.chat")
        await until(lambda: len(self.heard) > before, f"an answer to {words!r}")
        return self.heard[-1]


async def until(holds: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 - what other processes do
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"waited {PATIENCE:.0f} s in vain until {what}")


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKit]:
    program = os.environ.get("KEYBEARER_TEST_LIVEKIT") or shutil.which("livekit-server")
    if not program:
        pytest.skip("livekit-server is neither on PATH nor named by KEYBEARER_TEST_LIVEKIT")
    port, tcp, udp = _free(socket.SOCK_STREAM), _free(socket.SOCK_STREAM), _free(socket.SOCK_DGRAM)
    configuration = {
        "keys": {KEY: SECRET},
        "port": port,
        "rtc": {"tcp_port": tcp, "udp_port": udp, "use_external_ip": False},
    }
    log = tmp_path_factory.mktemp("livekit") / "log"
    command = [program, "--dev", "--bind", "127.0.0.1", "--node-ip", "127.0.0.1"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--config-body", json.dumps(configuration)], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _answers(f"http://127.0.0.1:{port}", process, log)
        yield LiveKit(f"ws://127.0.0.1:{port}")
    finally:
        process.kill()  # asked to end, it waits 20 s for its participants
        process.wait()


@pytest.fixture
async def client(livekit: LiveKit) -> AsyncIterator[api.LiveKitAPI]:
    async with livekit.client() as client:
        yield client


@pytest.fixture
async def start_worker(livekit: LiveKit, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts registered workers; those still running at the end are killed with their jobs' processes."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(jobs_per_worker: int = 1, **environment: str) -> Worker:
            port, metrics_port = _free(socket.SOCK_STREAM), _free(socket.SOCK_STREAM)
            log = tmp_path / f"worker-{port}.log"
            with log.open("w") as out:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "keybearer_agent.worker",
                    env={
                        "PATH": os.environ["PATH"],
                        "HOME": str(tmp_path),
                        "KEYBEARER_WORKER_PORT": str(port),
                        "KEYBEARER_METRICS_PORT": str(metrics_port),
                        "KEYBEARER_JOBS_PER_WORKER": str(jobs_per_worker),
                        **livekit.environment,
                        **environment,
                    },
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            stack.push_async_callback(_killed, process, log)
            metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
            worker = Worker(process, f"http://127.0.0.1:{port}", metrics_url, log)
            await worker.until_logged("registered worker")
            return worker

        yield start


@pytest.fixture
async def join(livekit: LiveKit) -> AsyncIterator[Callable[[str], Any]]:
    """Joins a room as a person."""
    callers: list[Caller] = []
    async with contextlib.AsyncExitStack() as stack:

        async def joined(room: str, identity: str = "alice") -> Caller:
            grants = api.VideoGrants(room_join=True, room=room)
            token = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()
            caller = Caller(rtc.Room())
            caller.room.register_text_stream_handler("lk.transcription", _listener(caller, stack))
            await caller.room.connect(livekit.url, token)
            callers.append(caller)
            return caller

        yield joined
        await asyncio.gather(*(caller.room.disconnect() for caller in callers))  # seconds each, when it is busy


@pytest.fixture
def room() -> str:
    return f"room-{uuid4().hex[:8]}"


def _listener(caller: Caller, stack: contextlib.AsyncExitStack) -> Callable[[rtc.TextStreamReader, str], None]:
    tasks: set[asyncio.Task[None]] = set()

    async def read(reader: rtc.TextStreamReader) -> None:
        caller.heard.append(await reader.read_all())

    async def stopped() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def on_stream(reader: rtc.TextStreamReader, _: str) -> None:
        tasks.add(asyncio.create_task(read(reader)))

    stack.push_async_callback(stopped)
    return on_stream


async def _killed(process: asyncio.subprocess.Process, log: Path) -> None:
    print(log.read_text())  # pytest shows it where the test failed
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    with httpx2.Client(transport=httpx2.HTTPTransport(retries=20), timeout=PATIENCE) as client:
        answer = client.get(url)
    assert process.poll() is None, log.read_text()
    assert answer.status_code == 200
