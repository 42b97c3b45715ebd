"""Fills an empty database from an archive, in one transaction: afterwards it is whole, or as empty as before."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from keybearer.backups import archive, settling, store
from keybearer.backups.archive import Reader
from keybearer.backups.errors import BackupError
from keybearer.backups.making import Tell
from keybearer.backups.manifest import Manifest
from keybearer.backups.settling import Domains, Settled
from keybearer.keys.erasures import Erasure
from keybearer.keys.keyring import Keyring
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import Unavailable
from keybearer.migrations import rebuilding


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    counts: Mapping[str, int]
    settled: Settled
    seconds: float


async def restore(
    db: Database, domains: Domains, path: Path, erasures: Sequence[Erasure] | None, tell: Tell = lambda _: None
) -> Restored:
    """`db` is the migrating login's. Without a list of erasures, nothing serves until it was replayed.

    Raises BackupError and ConfigurationError; then nothing was changed.
    """
    began = time.monotonic()
    with archive.opened(path, domains.keys.keyring) as reader:
        _check_manifest(reader.manifest, domains.keys.keyring)
        try:
            async with db.transaction(None) as tx:
                settled = await _fill(tx, reader, domains, path.name, erasures, tell)
        except Unavailable as error:
            if error.code != "database_full":
                raise
            raise BackupError(
                "There is no room left on the database's volume. Give it more, or free some. Nothing was changed."
            ) from error
    return Restored(reader.manifest, reader.counts, settled, time.monotonic() - began)


async def _fill(
    tx: Transaction, reader: Reader, domains: Domains, name: str, erasures: Sequence[Erasure] | None, tell: Tell
) -> Settled:
    await settling.begin(tx)
    await _check_empty(tx)
    await rebuilding.rebuild(tx, reader.manifest.schema)
    await _load(tx, reader, tell)
    tell("Migrating")
    await rebuilding.finish(tx)
    tell("Settling")
    settled = await settling.settle(tx, domains, erasures, archive=name, archived_at=reader.manifest.made_at)
    await settling.check_unused(tx)
    return settled


def _check_manifest(manifest: Manifest, keyring: Keyring) -> None:
    if not rebuilding.knows(manifest.schema):
        raise BackupError(
            f"The archive was made by version {manifest.product}, whose schema {manifest.schema} this version does not "
            f"know. Restore it with version {manifest.product} or a newer one."
        )
    if missing := set(manifest.keks) - keyring.keys.keys():
        raise settling.lacks_keys(missing)


async def _check_empty(tx: Transaction) -> None:
    async with store.unguarded(tx):
        used = await store.find_used_table(tx)
    if used is not None:
        raise BackupError(
            f"This database is in use: there are rows in {used}. Restore into an empty one, and point "
            "KEYBEARER_MIGRATION_DATABASE_URL at it. Nothing was changed."
        )


async def _load(tx: Transaction, reader: Reader, tell: Tell) -> None:
    async with store.unguarded(tx):
        # The migrations put some rows there, which the archive has too.
        await store.empty(tx)
        for table in reader.tables():
            tell(f"Loading {table.name}")
            loaded = await store.copy_in(tx, table, _stream(reader.rows()))
            if loaded != reader.counts[table.name]:
                raise archive.incomplete()
        await store.count_on(tx)


async def _stream(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block
