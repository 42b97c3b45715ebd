"""Batches in files: a gzipped line of JSON for each batch and each row, complete enough to be proved by themselves.

Personal detail is the same ciphertext as in the database, so destroying a person's key reaches these files too.
"""

import gzip
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any
from uuid import UUID

from keybearer.kit.errors import ConfigurationError
from keybearer.kit.files import sync_folder
from keybearer.ledger.chain import Archived, Batch, Seal, StoredRow
from keybearer.ledger.verify import Remainder

_NAME = re.compile(r"ledger-(\d{12})-(\d{12})\.jsonl\.gz")
_UUIDS = frozenset({"tenant_id", "uid", "user_id", "grant_id", "connection_id", "call_id", "dek_id"})
_SEAL = tuple(field.name for field in fields(Seal))
_ROW = tuple(field.name for field in fields(StoredRow))


class FileBooks:
    """The archived ledger as `verify` walks it: forward, once."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._batches = _batches(files)
        self._rows: dict[tuple[int, int], list[StoredRow]] = {}

    async def batches(self, after: int, limit: int) -> list[Batch]:  # noqa: ARG002 -- one at a time fits into memory
        """Two files may hold the same batch, where archiving was interrupted between them."""
        for batch, rows in self._batches:
            if batch.seal.no > after:
                self._rows = {(batch.seal.era, batch.seal.from_xid): rows}
                return [batch]
        return []

    async def rows(
        self,
        era: int,
        from_xid: int,
        to_xid: int,  # noqa: ARG002 -- a file's rows stand under their batch
        after: tuple[int, int] | None,
        limit: int,
    ) -> list[StoredRow]:
        rows = self._rows.get((era, from_xid), [])
        left = rows if after is None else [row for row in rows if (row.xid, row.id) > after]
        return left[:limit]

    async def archived(self) -> Archived | None:
        return None

    async def remainder(self, ends: dict[int, int], archived: Archived | None) -> Remainder:  # noqa: ARG002 -- files end nowhere else
        return Remainder(0, None, None)


def find(folder: Path) -> list[Path]:
    """In the order of their batches. Raises ConfigurationError."""
    try:
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be read ({error.strerror}). It is the folder of the ledger's archive."
        ) from error


async def write(folder: Path, contents: AsyncIterator[tuple[Batch, AsyncIterator[StoredRow]]]) -> Path:
    """On the disk when it returns, whole, and readable by us alone. Raises OSError."""
    unfinished = folder / f".ledger-{os.getpid()}.unfinished"
    numbers: list[int] = []
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as zipped:
                async for batch, rows in contents:
                    numbers.append(batch.seal.no)
                    _put(zipped, {"batch": [*_plain(astuple(batch.seal)), batch.signature.hex()]})
                    async for row in rows:
                        _put(zipped, {"row": _plain(astuple(row))})
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"ledger-{numbers[0]:012}-{numbers[-1]:012}.jsonl.gz"
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return path


def _put(file: gzip.GzipFile, document: object) -> None:
    file.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")


def _plain(values: Sequence[object]) -> list[object]:
    return [
        value.hex() if isinstance(value, bytes) else str(value) if isinstance(value, UUID) else value
        for value in values
    ]


def _batches(files: Sequence[Path]) -> Iterator[tuple[Batch, list[StoredRow]]]:
    for path in files:
        batch: Batch | None = None
        rows: list[StoredRow] = []
        for document in _documents(path):
            if "row" in document:
                rows.append(_row(document["row"]))
                continue
            if batch is not None:
                yield batch, rows
            batch, rows = _batch(document["batch"]), []
        if batch is not None:
            yield batch, rows


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except (OSError, EOFError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is damaged or cannot be read ({type(error).__name__}). Bring it back from its backup."
        ) from error


def _batch(values: list[Any]) -> Batch:
    seal = dict(zip(_SEAL, values, strict=False))
    for name in ("previous_hash", "root"):
        seal[name] = bytes.fromhex(seal[name])
    return Batch(Seal(**seal), bytes.fromhex(values[-1]))


def _row(values: list[Any]) -> StoredRow:
    row = dict(zip(_ROW, values, strict=True))
    for name in _UUIDS:
        row[name] = UUID(row[name]) if row[name] is not None else None
    row["detail"] = bytes.fromhex(row["detail"]) if row["detail"] is not None else None
    return StoredRow(**row)
