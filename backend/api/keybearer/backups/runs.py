"""Writes down how a piece of maintenance went, whichever way it ended."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from keybearer.backups import store
from keybearer.backups.errors import BackupError
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError, KeybearerError

_KEPT_DAYS = 400

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Run:
    """What the work itself has to add."""

    began: float
    archive: str | None = None
    lost_seconds: float | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


@asynccontextmanager
async def remembered(db: Database, kind: str) -> AsyncIterator[Run]:
    """`db` is the migrating login's. A failure is written down and goes on to the caller."""
    run = Run(time.monotonic())
    try:
        yield run
    except (BackupError, ConfigurationError, KeybearerError) as error:
        await _write(db, kind, run, str(error))
        raise
    except Exception as error:
        await _write(db, kind, run, type(error).__name__)  # its words may quote what was read
        raise
    await _write(db, kind, run, None)


async def forget_old(db: Database) -> int:
    async with db.transaction(None) as tx:
        return await store.forget_runs(tx, _KEPT_DAYS)


async def _write(db: Database, kind: str, run: Run, problem: str | None) -> None:
    """The work is done or has failed already, and says so itself."""
    try:
        async with db.transaction(None) as tx:
            await store.add_run(
                tx, kind, seconds=run.seconds, archive=run.archive, lost_seconds=run.lost_seconds, problem=problem
            )
    except Exception as error:  # noqa: BLE001 -- must not hide how the work itself ended
        log.warning("maintenance.not_written_down", kind=kind, error=type(error).__name__)
