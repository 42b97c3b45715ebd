"""The content of an archive: records in one compressed stream, so that it is written and read with flat memory.

A record is its kind (1 byte), its length (4 bytes) and that many bytes. First the manifest; then for each table its
name and columns, its rows as PostgreSQL's COPY text, and their number; at last the number of rows in all.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from keybearer.backups import sealing
from keybearer.backups.errors import BackupError, file_errors
from keybearer.backups.manifest import Manifest
from keybearer.backups.sealing import Header, Sealer
from keybearer.keys.errors import UnknownKey
from keybearer.keys.keyring import Keyring

_MANIFEST, _TABLE, _ROWS, _END_OF_TABLE, _END = b"M", b"T", b"R", b"E", b"Z"
_COMPRESSION = 6
_INFLATED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[str, ...]


class Writer:
    def __init__(self, path: Path, file: BinaryIO, keyring: Keyring, manifest: Manifest) -> None:
        self._path = path
        self.counts: dict[str, int] = {}
        self._deflate = zlib.compressobj(_COMPRESSION)
        with file_errors(path, "written"):
            self._sealer = Sealer(file, Header.new(keyring.primary), keyring.key(keyring.primary))
            self._put(_MANIFEST, manifest.encoded())

    def begin(self, table: Table) -> None:
        self._put(_TABLE, json.dumps({"name": table.name, "columns": table.columns}).encode())

    async def rows(self, block: bytes) -> None:
        self._put(_ROWS, block)

    def end(self, table: Table, rows: int) -> None:
        self.counts[table.name] = rows
        self._put(_END_OF_TABLE, json.dumps({"rows": rows}).encode())

    def finish(self) -> None:
        self._put(_END, json.dumps({"rows": sum(self.counts.values())}).encode())
        with file_errors(self._path, "written"):
            self._sealer.write(self._deflate.flush())
            self._sealer.finish()

    def _put(self, kind: bytes, payload: bytes) -> None:
        with file_errors(self._path, "written"):
            self._sealer.write(self._deflate.compress(kind + len(payload).to_bytes(4, "big")))
            self._sealer.write(self._deflate.compress(payload))


@dataclass(slots=True)
class Reader:
    """Walk `tables`, and in each of them all `rows`, once and in order; what does not add up raises BackupError."""

    manifest: Manifest
    counts: dict[str, int] = field(default_factory=dict, init=False)
    _records: Iterator[tuple[bytes, bytes]]
    _table: Table | None = field(default=None, init=False)

    def tables(self) -> Iterator[Table]:
        while (record := self._next())[0] == _TABLE:
            described = json.loads(record[1])
            self._table = Table(described["name"], tuple(described["columns"]))
            yield self._table
            if self._table is not None:
                raise BackupError("The rows of a table were not read.")  # a mistake of whoever walks
        if record[0] != _END or json.loads(record[1])["rows"] != sum(self.counts.values()):
            raise incomplete()
        if next(self._records, None) is not None:
            raise incomplete()

    def rows(self) -> Iterator[bytes]:
        """Blocks of whole or broken lines."""
        assert self._table is not None, "asked within a table"
        count = 0
        while (record := self._next())[0] == _ROWS:
            count += record[1].count(b"\n")  # COPY escapes those within values
            yield record[1]
        if record[0] != _END_OF_TABLE or json.loads(record[1])["rows"] != count:
            raise incomplete()
        self.counts[self._table.name] = count
        self._table = None

    def _next(self) -> tuple[bytes, bytes]:
        record = next(self._records, None)
        if record is None:
            raise incomplete()
        return record


@contextmanager
def opened(path: Path, keyring: Keyring) -> Iterator[Reader]:
    """Raises BackupError where the file is no archive, was changed, or needs a key that the keyring lacks."""
    with file_errors(path, "read"):
        file = path.open("rb")
    with file:
        with file_errors(path, "read"):
            header = Header.read(file)
        try:
            kek = keyring.key(header.key_id)
        except UnknownKey:
            raise BackupError(
                f"The archive is encrypted under the key {header.key_id}, which KEYBEARER_KEYRING_DIR does not hold. "
                "Bring that file back from the keyring's backup."
            ) from None
        records = _records(_guarded(path, sealing.opened(file, header, kek)))
        kind, payload = next(records, (b"", b""))
        if kind != _MANIFEST:
            raise incomplete()
        yield Reader(Manifest.decoded(payload), records)


def check(path: Path, keyring: Keyring) -> tuple[Manifest, Mapping[str, int]]:
    """Reads all of it; the number of rows of each table. Raises BackupError."""
    with opened(path, keyring) as reader:
        for _ in reader.tables():
            for _ in reader.rows():
                pass
        return reader.manifest, reader.counts


def incomplete() -> BackupError:
    return BackupError("The archive is not complete: what it holds is not what it says it holds. Take another one.")


def _guarded(path: Path, content: Iterator[bytes]) -> Iterator[bytes]:
    with file_errors(path, "read"):
        yield from content


def _records(content: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    buffer = bytearray()
    for part in _inflated(content):
        buffer += part
        while len(buffer) >= 5 and len(buffer) >= (end := 5 + int.from_bytes(buffer[1:5], "big")):
            yield bytes(buffer[:1]), bytes(buffer[5:end])
            del buffer[:end]
    if buffer:
        raise incomplete()


def _inflated(content: Iterator[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    try:
        for part in content:
            rest = part
            while rest:
                yield inflate.decompress(rest, _INFLATED_AT_ONCE)
                rest = inflate.unconsumed_tail
    except zlib.error:
        raise incomplete() from None
    if not inflate.eof or inflate.unused_data:
        raise incomplete()
