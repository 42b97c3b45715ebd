"""Makes an archive: everything of one moment, proved to be readable before it gets its name."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keybearer import __version__
from keybearer.backups import archive, folder, runs, store
from keybearer.backups.errors import file_errors
from keybearer.backups.manifest import Manifest, Position
from keybearer.keys.service import Keys
from keybearer.kit.database import Database, Transaction
from keybearer.ledger import background as ledger

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    path: Path
    key_id: str
    size: int
    manifest: Manifest
    counts: Mapping[str, int]
    removed: tuple[Path, ...]


async def make(
    db: Database, keys: Keys, to: Path, *, keep_days: int | None = None, tell: Tell = lambda _: None
) -> Made:
    """`db` is the migrating login's. Raises BackupError and ConfigurationError; the failure is written down too."""
    async with runs.remembered(db, "backup") as run:
        made = await _make(db, keys, to, keep_days, tell)
        run.archive = made.path.name
    return made


async def _make(db: Database, keys: Keys, to: Path, keep_days: int | None, tell: Tell) -> Made:
    folder.check(to)
    async with db.transaction(None) as tx:
        manifest = await _describe(tx, keys, await store.begin_snapshot(tx))
        path = folder.path_of(to, manifest.made_at)
        with folder.new(path) as (unfinished, file):
            writer = archive.Writer(unfinished, file, keys.keyring, manifest)
            for table in await store.tables(tx):
                tell(f"Reading {table.name}")
                writer.begin(table)
                writer.end(table, await store.copy_out(tx, table, writer.rows))
            writer.finish()
            with file_errors(unfinished, "written"):
                file.flush()
                os.fsync(file.fileno())
            tell("Verifying")
            if archive.check(unfinished, keys.keyring) != (manifest, writer.counts):
                raise archive.incomplete()
            size = os.fstat(file.fileno()).st_size
    removed = folder.remove_older(to, keep_days, datetime.now(UTC)) if keep_days is not None else []
    return Made(path, keys.keyring.primary, size, manifest, writer.counts, tuple(removed))


async def _describe(tx: Transaction, keys: Keys, at: datetime) -> Manifest:
    schema = await store.revision(tx)
    era, batch, row = await ledger.position(tx)
    position = Position(
        era=era,
        batch=batch.seal.no if batch is not None else 0,
        batch_hash=batch.seal.hash.hex() if batch is not None else None,
        row=row,
    )
    return Manifest(
        made_at=at,
        product=__version__,
        schema=schema,
        ledger=position,
        keyring=keys.keyring.revision,
        keks=tuple(sorted(await keys.registered(tx))),
    )
