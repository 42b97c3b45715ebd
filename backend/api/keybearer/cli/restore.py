"""`keybearer restore`: an archive into an empty database, or the rest of the work where that came back otherwise."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import typer

from keybearer.backups import folder, restoring, settling
from keybearer.backups.restoring import Restored
from keybearer.backups.settling import Domains, Settled
from keybearer.bootstrap.services import build
from keybearer.cli import owning, progress, up
from keybearer.keys import erasures
from keybearer.keys.erasures import Erasure
from keybearer.kit import settings
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.kit.settings import Settings
from keybearer.ledger.background import Sealer


def restore(file: Path | None, source: Path | None = None, *, environment: Mapping[str, str] = os.environ) -> None:
    """That archive, or the newest in a folder."""
    path = file if file is not None else folder.newest(source or Path()).path
    typer.echo(f"Restoring {path}")
    restored = asyncio.run(_restore(path, environment))
    manifest = restored.manifest
    age = datetime.now(UTC) - manifest.made_at
    typer.echo(
        f"Restored {sum(restored.counts.values()):,} rows of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC in "
        f"{restored.seconds:.1f} s. What happened in the {age.total_seconds():,.0f} s since then is lost."
    )
    _tell(restored.settled)


def restore_folder(file: Path | None, source: Path | None, data: Path) -> None:
    """For `keybearer up`, whose database runs only while its server does."""
    with up.database_of(data) as environment:
        restore(file, source, environment=environment)


def settle_in_place(*, environment: Mapping[str, str] = os.environ) -> None:
    _tell(asyncio.run(_settle_in_place(environment)))


def replay_erasures(*, environment: Mapping[str, str] = os.environ) -> None:
    typer.echo(f"Deleted again: {asyncio.run(_replay(environment)):,} people. Servers may start.")


@asynccontextmanager
async def domains(found: Settings, url: str) -> AsyncIterator[tuple[Database, Domains]]:
    """What the server is made of, over another login's door. Nothing of it runs by itself."""
    # Whom it deletes again is in the log already, which may be somewhere that it can only be read from.
    logless = replace(found, erasure_log_dir=None)
    services = build(replace(logless, database_url=url, listen_database_url=url, database_credentials_dir=None))
    try:
        sealer = Sealer(services.db, services.signing)
        yield services.db, Domains(services.keys, services.ledger, sealer, services.sign_in.erase_again)
    finally:
        await services.outbound.aclose()
        await services.db.close()


def known_erasures(found: Settings) -> Sequence[Erasure] | None:
    """None where no log is named."""
    return erasures.read(found.erasure_log_dir) if found.erasure_log_dir is not None else None


async def _restore(file: Path, environment: Mapping[str, str]) -> Restored:
    found = settings.read(environment)
    async with domains(found, await owning.reachable_url(environment)) as (db, parts):
        with progress.shown("Restoring") as tell:
            return await restoring.restore(db, parts, file, known_erasures(found), tell)


async def _settle_in_place(environment: Mapping[str, str]) -> Settled:
    found = settings.read(environment)
    async with domains(found, await owning.reachable_url(environment)) as (db, parts):
        return await settling.settle_in_place(db, parts, known_erasures(found))


async def _replay(environment: Mapping[str, str]) -> int:
    found = settings.read(environment)
    known = known_erasures(found)
    if known is None:
        raise ConfigurationError("KEYBEARER_ERASURE_LOG_DIR is not set. It names the folder of the erasure log.")
    async with domains(found, await owning.reachable_url(environment)) as (db, parts):
        return await settling.replay(db, parts, known)


def _tell(settled: Settled) -> None:
    typer.echo(f"All sessions and {settled.grants_ended:,} grants were ended: some had ended after that moment.")
    typer.echo(f"{settled.unverified:,} connections are tried at their next refresh, each once.")
    if settled.last is not None:
        last = settled.last.seal
        typer.echo(
            f"The ledger's era {last.era} ends with batch {last.no}: {last.hash.hex()}. Era {settled.era} has begun."
        )
    if settled.erased is None:
        typer.echo(
            "NOT READY: KEYBEARER_ERASURE_LOG_DIR is not set, so whoever deleted their account since is back. Servers "
            "refuse to start until you run `keybearer restore --erasures` with it."
        )
    else:
        typer.echo(f"Deleted again: {settled.erased:,} people. Servers may start.")
