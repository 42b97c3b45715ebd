import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from keybearer.cli import postgres

# A program like `keybearer up`: it serves until it is interrupted, and is still at work when Ctrl-C arrives.
_PROGRAM = """
import asyncio, asyncpg, signal, sys
from pathlib import Path
from keybearer.cli import postgres

async def ask(dsn):
    connection = await asyncpg.connect(dsn)
    print("answer", await connection.fetchval("select 1"), flush=True)
    await connection.close()

with postgres.running(Path(sys.argv[1])) as server:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    print(server.pid, server.superuser_dsn(), flush=True)
    signal.sigwait({signal.SIGINT})
    asyncio.run(ask(server.superuser_dsn()))
"""


@dataclass(frozen=True)
class Program:
    """Another process that runs a server."""

    process: subprocess.Popen[str]
    server_pid: int
    dsn: str


def processes_of(data: Path) -> list[psutil.Process]:
    """Every process that works in the data folder; PostgreSQL's have their cluster as working directory."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        cwd = process.info["cwd"]
        if cwd and Path(cwd).is_relative_to(data):
            found.append(process)
    return found


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A data folder not made yet, in which, whatever a test did, nothing may be left running at its end."""
    folder = tmp_path / "data"
    yield folder
    left = processes_of(folder)
    for process in left:
        process.kill()
    assert left == []


@pytest.fixture
def data(fresh: Path, made: Path) -> Path:
    """A data folder after a first start."""
    shutil.copytree(made, fresh)
    return fresh


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "data"
    with postgres.running(folder):
        pass
    return folder


@pytest.fixture
def program(data: Path) -> Iterator[Callable[[], Program]]:
    """Start another process that runs a server in the data folder, and wait until it serves."""
    with ExitStack() as started:

        def start() -> Program:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(data)],
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            started.enter_context(process)
            started.callback(process.send_signal, signal.SIGINT)
            assert process.stdout is not None
            pid, dsn = process.stdout.readline().split()
            return Program(process, int(pid), dsn)

        yield start
