"""The folder that archives are kept in: their names, which is the newest, which are old enough to go."""

import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from keybearer.backups.errors import BackupError, file_errors
from keybearer.kit.files import sync_folder

_NAME = re.compile(r"keybearer-(\d{8}T\d{6}Z)\.kbb")
_TIME = "%Y%m%dT%H%M%SZ"
_UNFINISHED = ".unfinished"
_LEFT_OVER = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Archive:
    made_at: datetime
    path: Path


def archives(folder: Path) -> list[Archive]:
    """Oldest first. What has another name is somebody else's."""
    with file_errors(folder, "read"):
        return sorted(
            Archive(datetime.strptime(match[1], _TIME).replace(tzinfo=UTC), path)
            for path in folder.iterdir()
            if (match := _NAME.fullmatch(path.name))
        )


def newest(folder: Path) -> Archive:
    found = archives(folder)
    if not found:
        raise BackupError(f"There is no archive in {folder}. Make one with `keybearer backup --to {folder}`.")
    return found[-1]


def path_of(folder: Path, at: datetime) -> Path:
    return folder / f"keybearer-{at.strftime(_TIME)}.kbb"


def check(folder: Path) -> None:
    if not folder.is_dir():
        raise BackupError(f"{folder} is no folder. Make it, or mount the volume that it is on.")


@contextmanager
def new(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A file that has the name only once the block ended well, and is then on the disk; readable by us alone."""
    folder = path.parent
    unfinished = folder / f".{path.name}.{os.getpid()}{_UNFINISHED}"
    with file_errors(folder, "written to"):
        file = os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
    try:
        yield unfinished, file
        with file_errors(folder, "written to"):
            file.close()
            unfinished.replace(path)
            sync_folder(folder)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        with suppress(OSError):  # what it held back has no room either
            file.close()
        raise


def remove_unfinished(path: Path) -> None:
    """Of killed processes. In a container the next one has the same number, and could not write."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
        left.unlink(missing_ok=True)


def remove_older(folder: Path, days: int, now: datetime) -> list[Path]:
    """Archives over that age but for the newest, and what killed backups left behind."""
    old = [archive.path for archive in archives(folder)[:-1] if archive.made_at < now - timedelta(days=days)]
    with file_errors(folder, "tidied"):
        for path in (*old, *_left_over(folder, now)):
            path.unlink(missing_ok=True)
    return old


def _left_over(folder: Path, now: datetime) -> list[Path]:
    limit = (now - _LEFT_OVER).timestamp()
    return [path for path in folder.glob(f".keybearer-*{_UNFINISHED}") if path.stat().st_mtime < limit]
