"""Builds what is measured: a database with fsync, sandbox providers, server processes on a core of their own."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pinned
import psutil
from installation import Installation, Process, installed
from keybearer.cli import postgres
from keybearer.migrations import cluster, runner
from keybearer_sandbox.testing import RunningSandbox, run_sandbox

_TEMPLATE = "keybearer_template"
_HELLO = str(Path(__file__).with_name("hello.py"))


@dataclass(frozen=True)
class Workshop:
    """`quick` shortens every round; the figures then mean little."""

    folder: Path
    server: postgres.Server
    sandbox: RunningSandbox
    quick: bool

    @contextmanager
    def site(self, **extra: str) -> Iterator[Installation]:
        """An installation over a new database; no process runs yet."""
        name = f"bench_{secrets.token_hex(4)}"
        asyncio.run(self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} OWNER keybearer_owner"))
        self.sandbox.reset()
        url = self.server.dsn(cluster.APP_LOGIN, "app", name)
        owner_url = self.server.dsn(cluster.MIGRATION_LOGIN, "migrator", name)
        with installed(self.folder / name, url, owner_url, self.sandbox, **extra) as made:
            yield made

    async def execute(self, statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.server.superuser_dsn(database))
        try:
            await connection.execute(statements)
        finally:
            await connection.close()

    def rounds(self, full: int) -> int:
        return 2 if self.quick else full

    def seconds(self, full: float) -> float:
        return min(full, 1.0) if self.quick else full


@contextmanager
def workshop(folder: Path, *, quick: bool) -> Iterator[Workshop]:
    with postgres.running(folder) as server, run_sandbox() as sandbox:
        shop = Workshop(folder, server, sandbox, quick)
        asyncio.run(
            cluster.prepare(
                server.superuser_dsn(), database=_TEMPLATE, app_password="app", migration_password="migrator"
            )
        )
        asyncio.run(runner.migrate(server.dsn(cluster.MIGRATION_LOGIN, "migrator", _TEMPLATE)))
        yield shop


def serve(site: Installation) -> Process:
    """A `keybearer serve` on the servers' core."""
    command = pinned.command(pinned.SERVER_CORE, sys.executable, "-m", "keybearer", "serve")
    return site.start(launcher=command)


@contextmanager
def hello(size: int) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A bare server on the servers' core: its port and its process."""
    command = pinned.command(pinned.SERVER_CORE, sys.executable, _HELLO, str(size))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process
        finally:
            process.terminate()


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def resident(pid: int) -> int:
    """Bytes of memory in use."""
    size: int = psutil.Process(pid).memory_info().rss
    return size
