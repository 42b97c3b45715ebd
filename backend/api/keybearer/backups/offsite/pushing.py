"""Brings a bucket up to date with the backup volume: what is new there goes up, and what was tidied away there goes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keybearer.backups.errors import BackupError, file_errors
from keybearer.backups.making import Tell
from keybearer.backups.offsite import pieces, volume
from keybearer.backups.offsite.bucket import Bucket, BucketError
from keybearer.backups.offsite.pieces import PIECE_BYTES, Piece
from keybearer.backups.offsite.stored import Stored
from keybearer.backups.offsite.volume import File
from keybearer.keys.keyring import Keyring

_LISTED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Pushed:
    """`removed` counts objects."""

    files: int
    size: int
    removed: int


class Push:
    """Of the files that belong to it. Repeat `run`: between two runs it remembers what the bucket holds."""

    def __init__(self, bucket: Bucket, folder: Path, belongs: Callable[[str], bool]) -> None:
        self._bucket = bucket
        self._folder = folder
        self._belongs = belongs
        self._stored: Stored | None = None
        self._listed = 0.0

    def run(self, keyring: Keyring, tell: Tell = lambda _: None) -> Pushed:
        """Raises BackupError: at once where the bucket is to blame, and after all other files where one of them is."""
        try:
            return self._run(keyring, tell)
        except BucketError:
            self._stored = None  # nobody knows what still got there
            raise

    def _run(self, keyring: Keyring, tell: Tell) -> Pushed:
        stored = self._listing()
        files = volume.scan(self._folder)
        done, size, problems = 0, 0, []
        for path in sorted(filter(self._belongs, files), key=volume.order):
            try:
                sent = self._push(files[path], stored, keyring, tell)
            except BucketError:
                raise
            except BackupError as error:
                problems.append(str(error))
            else:
                done += sent is not None and not volume.is_empty_folder(path)
                size += sent or 0
        removed = self._remove_old(files, stored, keyring)
        if problems:
            raise BackupError(f"{problems[0]} ({len(problems)} files of {self._folder} are not in the bucket.)")
        return Pushed(done, size, removed)

    def _listing(self) -> Stored:
        if self._stored is None or time.monotonic() - self._listed > _LISTED_SECONDS:
            volume.identify(self._bucket, self._folder)
            self._stored = Stored.of(self._bucket, self._belongs)
            self._listed = time.monotonic()
        return self._stored

    def _push(self, file: File, stored: Stored, keyring: Keyring, tell: Tell) -> int | None:
        """Bytes sent; None where nothing was missing. What changes or goes meanwhile is left for the next run."""
        sent = None
        for number in sorted(_missing(file, stored, keyring)):
            tell(f"Copying {file.path}")
            content = self._read(file, number)
            if content is None:
                return sent
            piece = Piece(file.path, file.written, number, _count(file), keyring.primary)
            self._bucket.put(piece.name, pieces.seal(piece, content, keyring))
            stored.add(piece)
            sent = (sent or 0) + len(content)
        return sent

    def _read(self, file: File, number: int) -> bytes | None:
        if volume.is_empty_folder(file.path):
            return b""
        path = self._folder / file.path
        try:
            with file_errors(path, "read"), path.open("rb") as opened:
                opened.seek((number - 1) * PIECE_BYTES)
                content = opened.read(PIECE_BYTES)
                status = path.stat()
        except BackupError:
            if path.exists():
                raise
            return None
        unchanged = (status.st_size, pieces.written_at(status.st_mtime_ns)) == (file.size, file.written)
        return content if unchanged else None

    def _remove_old(self, files: dict[str, File], stored: Stored, keyring: Keyring) -> int:
        """Earlier states of files that are there as they are now, and files that the volume tidied away."""
        folders = {path.partition("/")[0] for path in files}
        removed = 0
        for path in reversed(stored.paths()):  # of a base backup, its manifest first
            found = stored.pieces(path)
            if path not in files:
                old = found if volume.may_go(path, folders) else frozenset()
            elif _missing(files[path], stored, keyring):
                old = frozenset()
            else:
                old = found - _usable(files[path], stored, keyring)
            for piece in old:
                self._bucket.remove(piece.name)
                stored.discard(piece)
            removed += len(old)
        return removed


def _count(file: File) -> int:
    return max(1, -(-file.size // PIECE_BYTES))


def _missing(file: File, stored: Stored, keyring: Keyring) -> set[int]:
    """Numbers of the pieces that are still to be sent."""
    there = {piece.number for piece in _usable(file, stored, keyring)}
    return set(range(1, _count(file) + 1)) - there


def _usable(file: File, stored: Stored, keyring: Keyring) -> frozenset[Piece]:
    """Pieces of the file as it is now. What is kept for ever goes up again under a new primary key, so that the old one
    is needed no longer than the last archive under it.
    """
    keys = keyring.keys.keys() if volume.is_tidied(file.path) else {keyring.primary}
    return frozenset(
        piece
        for piece in stored.pieces(file.path)
        if (piece.written, piece.count) == (file.written, _count(file)) and piece.key_id in keys
    )
