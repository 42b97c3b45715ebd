"""The backup volume: its files, which of them are tidied away there, and a mark by which a bucket knows it again."""

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from keybearer.backups import folder as archives
from keybearer.backups.errors import BackupError, file_errors
from keybearer.backups.offsite import pieces
from keybearer.backups.offsite.bucket import Bucket
from keybearer.kit.files import sync_folder

MARK = "offsite.json"
_FILE_SYSTEMS_OWN = "lost+found"
_URGENT = ("wal/", "erasures/")
_TIDIED = frozenset({"archives", "base", "wal"})
# Stands for a folder without files: that of the erasure log says so that nobody left.
_EMPTY = "/.empty"
_BASE_BACKUP = re.compile(r"((?:before-[^/]+/)?base/[^/]+)/.+")
_MANIFEST = "backup_manifest"


@dataclass(frozen=True, slots=True)
class File:
    path: str
    size: int
    written: str


def scan(folder: Path) -> dict[str, File]:
    """By path. Hidden ones are still being written; whoever writes gives them their name at the end."""
    archives.check(folder)
    found: dict[str, File] = {}
    waiting = [folder]
    while waiting:
        at = waiting.pop()
        try:
            with file_errors(at, "read"):
                entries = [entry for entry in os.scandir(at) if _is_ours(folder, entry)]
        except BackupError:
            if at.exists():
                raise
            continue  # tidied away meanwhile
        if not entries and at != folder:
            path = f"{at.relative_to(folder).as_posix()}{_EMPTY}"
            found[path] = File(path, 0, pieces.written_at(0))
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif (file := _file(folder, entry)) is not None:
                found[file.path] = file
    return found


def _is_ours(folder: Path, entry: "os.DirEntry[str]") -> bool:
    is_mark = Path(entry.path) == folder / MARK
    return not (entry.name.startswith(".") or entry.name == _FILE_SYSTEMS_OWN or is_mark)


def _file(folder: Path, entry: "os.DirEntry[str]") -> File | None:
    try:
        status = entry.stat(follow_symlinks=False)
        regular = entry.is_file(follow_symlinks=False)
    except FileNotFoundError:
        return None
    path = Path(entry.path).relative_to(folder).as_posix()
    return File(path, status.st_size, pieces.written_at(status.st_mtime_ns)) if regular else None


def is_empty_folder(path: str) -> bool:
    return path.endswith(_EMPTY)


def is_urgent(path: str) -> bool:
    """What the last minutes are in, which must not wait behind a base backup of many gigabytes."""
    return path.startswith(_URGENT)


def order(path: str) -> tuple[str, bool, str]:
    """WAL without gaps, and of a base backup its manifest last: with that, all of it is there."""
    parent, _, name = path.rpartition("/")
    return parent, name == _MANIFEST, name


def manifest_beside(path: str) -> str | None:
    """The file that shows a base backup to be whole, for each file of one."""
    match = _BASE_BACKUP.fullmatch(path)
    return f"{match[1]}/{_MANIFEST}" if match is not None else None


def is_tidied(path: str) -> bool:
    """Whether the volume removes what is as old as that. The rest it keeps for ever."""
    top = path.partition("/")[0]
    return top in _TIDIED or top.startswith("before-")


def may_go(path: str, there: Iterable[str]) -> bool:
    """Whether a file that is no longer there was tidied away, by the folders of those that are.

    Retention leaves the newest archive, base backup and segment. A folder without any was lost some other way, and then
    the copy is all there is.
    """
    top = path.partition("/")[0]
    return is_tidied(path) and ("base" if top.startswith("before-") else top) in there


def identify(bucket: Bucket, folder: Path) -> None:
    """Raises BackupError where the bucket holds another volume's backups, with which these must not mix."""
    own, other = _own_mark(folder), _mark_in(bucket)
    if other is not None and own != other:
        raise BackupError(
            f"{bucket.address} holds the backups of another volume than {folder}. After a loss, bring them back into "
            "an empty folder first: `keybearer offsite pull`. For a new installation, name another folder in it."
        )
    if own is None:
        _write_mark(folder, uuid4())
        own = _own_mark(folder)
    if other is None and own is not None:
        bucket.put(MARK, _encoded(own))


def adopt(bucket: Bucket, folder: Path) -> None:
    """Makes it the bucket's volume. Raises BackupError for a folder with something else in it, and an empty bucket."""
    own, other = _own_mark(folder), _mark_in(bucket)
    if other is None:
        raise BackupError(f"There are no backups in {bucket.address}. Check the address.")
    if own is None and all(is_empty_folder(path) for path in scan(folder)):
        _write_mark(folder, other)
    elif own != other:
        raise BackupError(
            f"{folder} holds something else than the backups in {bucket.address}. Name an empty folder or volume, so "
            "that nothing is mixed up."
        )


def _own_mark(folder: Path) -> UUID | None:
    archives.check(folder)
    with file_errors(folder / MARK, "read"):
        if not (folder / MARK).exists():
            return None
        return _decoded((folder / MARK).read_bytes(), str(folder / MARK))


def _mark_in(bucket: Bucket) -> UUID | None:
    content = bucket.find(MARK)
    return _decoded(content, f"{bucket.address}/{MARK}") if content is not None else None


def _write_mark(folder: Path, mark: UUID) -> None:
    """Where somebody else has just done it, theirs stays."""
    with file_errors(folder / MARK, "written"), suppress(FileExistsError):
        with (folder / MARK).open("xb") as file:
            file.write(_encoded(mark))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)


def _encoded(mark: UUID) -> bytes:
    return json.dumps({"volume": str(mark)}).encode() + b"\n"


def _decoded(content: bytes, where: str) -> UUID:
    try:
        return UUID(json.loads(content)["volume"])
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"{where} is damaged. It names the volume: bring its earlier version back, or remove it."
        ) from error
