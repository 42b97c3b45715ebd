"""Brings everything in a bucket back into an empty folder, proved piece by piece; what was interrupted goes on."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from keybearer.backups import folder as archives
from keybearer.backups.errors import file_errors
from keybearer.backups.making import Tell
from keybearer.backups.offsite import pieces, volume
from keybearer.backups.offsite.bucket import Bucket, BucketError
from keybearer.backups.offsite.pieces import Piece
from keybearer.backups.offsite.stored import Stored
from keybearer.keys.keyring import Keyring

_AT_ONCE = 4
# A volume belongs to one group for all, and PostgreSQL's user tidies up what the backend's brought back.
_FOLDER_MODE, _FILE_MODE = 0o770, 0o640


@dataclass(frozen=True, slots=True)
class Pulled:
    """`left_out`: paths that are not in the bucket as a whole, because their push was interrupted."""

    files: int
    size: int
    left_out: tuple[str, ...]


def pull(bucket: Bucket, folder: Path, keyring: Keyring, tell: Tell = lambda _: None) -> Pulled:
    """Raises BackupError; what was brought back until then is whole, and not fetched again."""
    volume.adopt(bucket, folder)
    stored = Stored.of(bucket)
    wanted = list(stored.whole())
    left_out = sorted(set(stored.paths()) - {state[0].path for state in wanted})

    def fetch(state: Sequence[Piece]) -> int:
        tell(f"Fetching {state[0].path}")
        return _fetch(bucket, folder, keyring, state)

    with ThreadPoolExecutor(_AT_ONCE) as workers:
        fetched = [workers.submit(fetch, state) for state in wanted]
        try:
            size = sum(each.result() for each in fetched)
        finally:
            workers.shutdown(cancel_futures=True)
    files = sum(not volume.is_empty_folder(state[0].path) for state in wanted)
    return Pulled(files, size, tuple(left_out))


def _fetch(bucket: Bucket, folder: Path, keyring: Keyring, state: Sequence[Piece]) -> int:
    """The file's size."""
    path = folder / state[0].path
    written = pieces.nanoseconds(state[0].written)
    with file_errors(path, "written"):
        if path.exists() and path.stat().st_mtime_ns == written:
            return path.stat().st_size
        _make_folder(folder, path.parent)
        archives.remove_unfinished(path)
        if volume.is_empty_folder(state[0].path):
            return 0
    with archives.new(path) as (unfinished, file), file_errors(unfinished, "written"):
        for piece in state:
            for part in pieces.opened(piece, _content(bucket, piece), keyring):
                file.write(part)
        file.flush()
        os.fchmod(file.fileno(), _FILE_MODE)
        os.utime(file.fileno(), ns=(written, written))
        os.fsync(file.fileno())
        return file.tell()


def _content(bucket: Bucket, piece: Piece) -> bytes:
    content = bucket.find(piece.name)
    if content is None:
        raise BucketError(
            f"{bucket.address}: {piece.path} was removed meanwhile. Stop whoever pushes there, and repeat."
        )
    return content


def _make_folder(root: Path, folder: Path) -> None:
    if folder != root and not folder.is_dir():
        _make_folder(root, folder.parent)
        folder.mkdir(exist_ok=True)  # another thread may have made it
        folder.chmod(folder.stat().st_mode | _FOLDER_MODE)
