"""`keybearer restore --drill`: a backup is known to restore only once it was restored."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import typer

from keybearer.backups import folder, restoring, runs, scratch
from keybearer.backups.errors import BackupError
from keybearer.backups.making import Tell
from keybearer.backups.restoring import Restored
from keybearer.backups.settled import check_settled
from keybearer.bootstrap import guard
from keybearer.bootstrap.services import build
from keybearer.cli import owning, progress
from keybearer.cli import restore as restoring_command
from keybearer.keys import background as keys
from keybearer.kit import settings
from keybearer.kit.settings import Settings
from keybearer.ledger.background import StoredBooks
from keybearer.ledger.verify import Report
from keybearer.ledger.verify import verify as verify_ledger


@dataclass(frozen=True, slots=True)
class Drilled:
    """`lost_seconds`: the age of the archive, which is what a disaster at this moment would have cost."""

    restored: Restored
    report: Report
    seconds: float
    lost_seconds: float


def drill(file: Path | None, source: Path | None, *, environment: Mapping[str, str] = os.environ) -> None:
    """Of that archive, or of the newest in a folder."""
    done = asyncio.run(_drill(file, source, environment))
    typer.echo(
        f"The backup of {done.restored.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC restores: "
        f"{sum(done.restored.counts.values()):,} rows in {done.restored.seconds:.1f} s, with checks in "
        f"{done.seconds:.1f} s."
    )
    typer.echo(f"Its ledger is whole: {done.report.batches:,} batches with {done.report.rows:,} rows.")
    typer.echo(f"A disaster now would have cost the last {done.lost_seconds:,.0f} s.")


async def _drill(file: Path | None, source: Path | None, environment: Mapping[str, str]) -> Drilled:
    found = settings.read(environment)
    async with owning.opened(environment) as db, runs.remembered(db, "drill") as run:
        path = file if file is not None else folder.newest(source or Path()).path
        run.archive = path.name
        async with scratch.database(settings.migration_database_url(environment)) as name:
            with progress.shown("Restoring") as tell:
                restored, report = await _try(found, environment, name, path, tell)
        run.lost_seconds = (datetime.now(UTC) - restored.manifest.made_at).total_seconds()
        return Drilled(restored, report, run.seconds, run.lost_seconds)


async def _try(
    found: Settings, environment: Mapping[str, str], name: str, path: Path, tell: Tell
) -> tuple[Restored, Report]:
    owner_url = scratch.inside(settings.migration_database_url(environment), name)
    async with restoring_command.domains(found, owner_url) as (db, parts):
        restored = await restoring.restore(db, parts, path, restoring_command.known_erasures(found), tell)
    tell("Checking")
    url = scratch.inside(found.database_url, name)
    scratched = replace(found, database_url=url, listen_database_url=url, erasure_log_dir=None)
    return restored, await _check(scratched, restored)


async def _check(found: Settings, restored: Restored) -> Report:
    """What a server checks when it starts, and the ledger."""
    services = build(found)
    try:
        await guard.check_database(services.db)
        await keys.prove(services.db, services.keys)
        if restored.settled.erased is not None:
            await check_settled(services.db)
        report = await verify_ledger(StoredBooks(services.db), services.signing)
    finally:
        await services.outbound.aclose()
        await services.db.close()
    if report.problem is not None:
        raise BackupError(f"The backup restores, but its ledger is not whole: {report.problem}.")
    return report
