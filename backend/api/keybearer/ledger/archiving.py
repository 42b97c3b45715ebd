"""Moves old batches to files: written, proved, and only then deleted, a few at a time (rule R7)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from keybearer.keys.signing import SigningKeyring
from keybearer.kit import faults
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.ledger import files, store
from keybearer.ledger.background import StoredBooks
from keybearer.ledger.chain import Archived, Batch, StoredRow
from keybearer.ledger.checkpoint import micros
from keybearer.ledger.files import FileBooks
from keybearer.ledger.verify import Broken, prove

_FILE_ROWS, _FILE_BATCHES = 200_000, 20_000
_DELETED_AT_ONCE = 2_000
_ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Moved:
    batches: int
    rows: int
    files: tuple[Path, ...]


class Archiver:
    """`books` read with the application's login, `owner` is the migrating login's door: nobody else may delete."""

    def __init__(self, books: StoredBooks, owner: Database, signers: SigningKeyring, folder: Path) -> None:
        self._books = books
        self._owner = owner
        self._signers = signers
        self._folder = folder

    async def run(self, before: datetime) -> Moved:
        """All that was sealed before that time, but for the newest batch. Raises ConfigurationError."""
        moved = Moved(0, 0, ())
        while chosen := await self._choose(before):
            path = await self._write(chosen)
            await faults.reach("ledger.archive.written")
            await self._delete(chosen)
            rows = sum(batch.seal.count for batch in chosen)
            moved = Moved(moved.batches + len(chosen), moved.rows + rows, (*moved.files, path))
        return moved

    async def _choose(self, before: datetime) -> list[Batch]:
        """The next ones that fit into a file."""
        chosen: list[Batch] = []
        rows = 0
        archived = await self._books.archived()
        after = archived.no if archived is not None else 0
        while found := await self._books.old_batches(after, before):
            for batch in found:
                rows += batch.seal.count
                if chosen and (rows > _FILE_ROWS or len(chosen) >= _FILE_BATCHES):
                    return chosen
                chosen.append(batch)
            after = found[-1].seal.no
        return chosen

    async def _write(self, chosen: Sequence[Batch]) -> Path:
        try:
            path = await files.write(self._folder, self._contents(chosen))
        except OSError as error:
            raise ConfigurationError(
                f"The ledger's archive cannot be written to {self._folder} ({error.strerror}). Nothing was removed."
            ) from error
        try:
            last = await prove(FileBooks([path]), self._signers, await self._books.archived())
        except Broken as problem:
            path.unlink()
            raise ConfigurationError(
                f"The ledger is not whole: {problem}. Nothing was removed; `keybearer ledger verify` says more."
            ) from problem
        assert last == chosen[-1], "what was proved is what was written"
        return path

    async def _contents(self, chosen: Sequence[Batch]) -> AsyncIterator[tuple[Batch, AsyncIterator[StoredRow]]]:
        for batch in chosen:
            yield batch, self._rows(batch)

    async def _rows(self, batch: Batch) -> AsyncIterator[StoredRow]:
        seal, after = batch.seal, None
        while rows := await self._books.rows(seal.era, seal.from_xid, seal.to_xid, after, _ROWS_AT_ONCE):
            for row in rows:
                yield row
            after = (rows[-1].xid, rows[-1].id)

    async def _delete(self, chosen: Sequence[Batch]) -> None:
        async with self._owner.transaction(None) as tx:
            tenants = await store.tenants_with_rows(tx)
        part: list[Batch] = []
        for number, batch in enumerate(chosen):
            part.append(batch)
            following = chosen[number + 1] if number + 1 < len(chosen) else None
            rows = sum(each.seal.count for each in part)
            if following is None or following.seal.era != batch.seal.era or rows >= _DELETED_AT_ONCE:
                await self._delete_part(part, tenants)
                part = []

    async def _delete_part(self, part: Sequence[Batch], tenants: Sequence[UUID]) -> None:
        first, last = part[0].seal, part[-1].seal
        mark = self._signed(part[-1])
        async with self._owner.transaction(None) as tx:
            deleted = await store.forget(tx, tenants, last.era, first.from_xid, last.to_xid, mark)
            if deleted != sum(batch.seal.count for batch in part):
                raise ConfigurationError(
                    f"Batches {first.no} to {last.no} of the ledger changed while they were archived, so they were not "
                    "removed. Is another `keybearer prune` running?"
                )
        await faults.reach("ledger.archive.deleted")

    def _signed(self, batch: Batch) -> Archived:
        mark = Archived(
            no=batch.seal.no,
            era=batch.seal.era,
            to_xid=batch.seal.to_xid,
            hash=batch.seal.hash,
            at=micros(datetime.now(UTC)),
            key_id=self._signers.primary,
        )
        return replace(mark, signature=self._signers.sign(mark.digest))
