"""The folder of the embedded server: what lies where, who holds it, and what a crash may have left in it."""

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PORT = 5432  # only a part of the socket's file name: nothing listens on TCP
_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's own limit is 107 on Linux and 103 on macOS
_ORPHAN_PATIENCE = 30.0  # seconds for a server whose parent was killed to finish its shutdown


class PostgresError(Exception):
    """The embedded server cannot do what was asked; the message says what to do next."""


@dataclass(frozen=True)
class Folder:
    """Where everything of one server is kept."""

    home: Path

    @classmethod
    def prepare(cls, data: Path) -> "Folder":
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
def lock(place: Folder, progress: Callable[[str], None]) -> Iterator[int]:
    """Hold the data folder; the descriptor is handed to the programs that we start.

    They and their children share the lock, so whoever gets it knows that nothing of ours is left on these
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


def _acquire(descriptor: int, place: Folder, progress: Callable[[str], None]) -> None:
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


def _ask_to_stop(place: Folder) -> None:
    pid = _first_number(place.postmaster)
    if pid is not None and _serves(pid, place):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)


def superuser_password(place: Folder) -> str:
    if not place.password.exists():
        raise PostgresError(
            f"{place.password} is missing, and without it {place.cluster} cannot be opened. "
            "Put the file back, or choose another data folder."
        )
    return place.password.read_text().strip()


def clear_after_crash(place: Folder) -> None:
    """Remove a postmaster.pid whose number now belongs to some other program.

    PostgreSQL itself removes one whose process is gone, but takes any living process of the same user for a
    server.
    """
    pid = _first_number(place.postmaster)
    if pid is not None and Path("/proc/self/cwd").exists() and not _serves(pid, place):
        place.postmaster.unlink()


def make_socket_folder(place: Folder) -> Path:
    remove_socket_folder(place)
    folder = place.socket
    if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) > _LONGEST_SOCKET_PATH:
        folder = _short_folder()
        write_private(place.socket_elsewhere, f"{folder}\n")
    else:
        folder.mkdir(mode=0o700)
    return folder


def _short_folder() -> Path:
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > _LONGEST_SOCKET_PATH // 2:
        parent = "/tmp"  # noqa: S108  mkdtemp makes a fresh folder that nobody else may enter
    return Path(tempfile.mkdtemp(prefix="keybearer-", dir=parent))


def remove_socket_folder(place: Folder) -> None:
    shutil.rmtree(place.socket, ignore_errors=True)
    if place.socket_elsewhere.exists():
        shutil.rmtree(place.socket_elsewhere.read_text().strip(), ignore_errors=True)
        place.socket_elsewhere.unlink()


def write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _serves(pid: int, place: Folder) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == place.cluster.resolve()
    except OSError:
        return False


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
