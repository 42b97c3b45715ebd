"""What the objects in the bucket are: a file in pieces, each sealed by itself under a key of the keyring.

An object's name says which file it is of, when that was last written, which piece of how many it is, and the key's id:
`wal/000000010000000000000007.gz/20261123T020000.123456789Z.1of1.k1.sealed`. So a listing alone tells what is there and
whole; a changed file is new objects beside the old ones, never half of each; and what was interrupted goes on at the
next piece. The name is sealed in again, so that no object can stand in for another.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from keybearer.backups import sealing
from keybearer.backups.errors import BackupError
from keybearer.backups.sealing import Header, Sealer
from keybearer.keys.errors import UnknownKey
from keybearer.keys.keyring import Keyring

PIECE_BYTES = 16 << 20
_NAME = re.compile(r"(.+)/(\d{8}T\d{6}\.\d{9}Z)\.(\d+)of(\d+)\.([A-Za-z0-9][A-Za-z0-9._-]*)\.sealed")
_SECOND = 1_000_000_000
_TIME = "%Y%m%dT%H%M%S"


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """`path` is relative to the volume; `written` names the file's time; `number` counts from 1 to `count`."""

    path: str
    written: str
    number: int
    count: int
    key_id: str

    @property
    def name(self) -> str:
        return f"{self.path}/{self.written}.{self.number}of{self.count}.{self.key_id}.sealed"


def parse(name: str) -> Piece | None:
    """None for what somebody else put there, and for a path that would lead out of the volume."""
    match = _NAME.fullmatch(name)
    if match is None or any(part in {"", ".", ".."} for part in match[1].split("/")):
        return None
    return Piece(match[1], match[2], int(match[3]), int(match[4]), match[5])


def written_at(nanoseconds: int) -> str:
    """A file's time, exactly, and in the order of text."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC).strftime(_TIME)}.{rest:09d}Z"


def nanoseconds(written: str) -> int:
    text, rest = written.removesuffix("Z").split(".")
    return int(datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp()) * _SECOND + int(rest)


def seal(piece: Piece, content: bytes, keyring: Keyring) -> bytes:
    sealed = io.BytesIO()
    sealer = Sealer(sealed, Header.new(piece.key_id), keyring.key(piece.key_id))
    sealer.write(piece.name.encode() + b"\n")
    for start in range(0, len(content), sealing.CHUNK_BYTES):
        sealer.write(content[start : start + sealing.CHUNK_BYTES])
    sealer.finish()
    return sealed.getvalue()


def opened(piece: Piece, sealed: bytes, keyring: Keyring) -> Iterator[bytes]:
    """The content in parts. Raises BackupError where the keyring lacks the key, or anything but this very piece was
    sealed there, at the latest at its end.
    """
    file = io.BytesIO(sealed)
    try:
        header = Header.read(file)
        parts = sealing.opened(file, header, keyring.key(header.key_id))
        name, _, content = next(parts).partition(b"\n")
        if name != piece.name.encode():
            raise _damaged(piece)
        yield content
        yield from parts
    except UnknownKey:
        raise BackupError(
            f"{piece.path} is encrypted under the key {piece.key_id}, which KEYBEARER_KEYRING_DIR does not hold. Bring "
            "that file back from the keyring's backup."
        ) from None
    except BackupError as error:
        raise _damaged(piece) from error


def _damaged(piece: Piece) -> BackupError:
    return BackupError(
        f"{piece.path} in the bucket is not what was put there: it was changed, cut off or exchanged, or the key "
        f"{piece.key_id} of the keyring is another one of the same name. With versions kept in the bucket, bring the "
        "object's earlier one back."
    )
