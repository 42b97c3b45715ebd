"""`keybearer prune`: what nobody needs any more goes, and the ledger's old batches to files first."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from keybearer.backups import runs
from keybearer.cli import owning
from keybearer.events import background as events
from keybearer.grants import background as grants
from keybearer.identity import background as identity
from keybearer.keys import signing
from keybearer.kit import settings
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.ledger.archiving import Archiver, Moved
from keybearer.ledger.background import StoredBooks
from keybearer.letters import background as letters
from keybearer.sessions import background as sessions
from keybearer.signin import background as signin
from keybearer.vault import background as vault

# The server removes most of this by itself every minute; here it goes where no server ran for long.
_PRUNED: Mapping[str, Callable[[Database], Awaitable[int]]] = {
    "expired sessions and tokens": sessions.prune,
    "invitations that nobody used": identity.prune,
    "links of mails that nobody used": letters.prune,
    "sign-ins that were never finished": signin.prune,
    "events that were delivered": events.prune,
    "finished refreshes": vault.prune,
    "grants that ended over 90 days ago": grants.prune,
}


def prune(*, ledger_to: Path | None, ledger_days: int, environment: Mapping[str, str] = os.environ) -> None:
    if ledger_to is not None and not ledger_to.is_dir():
        raise ConfigurationError(f"{ledger_to} is no folder. Make it, or mount the volume that it is on.")
    asyncio.run(_prune(ledger_to, ledger_days, environment))


async def _prune(ledger_to: Path | None, ledger_days: int, environment: Mapping[str, str]) -> None:
    found = settings.read(environment)
    db = Database(found.database_url, credentials_dir=found.database_credentials_dir, pool_size=2)
    try:
        async with owning.opened(environment) as owner, runs.remembered(owner, "prune"):
            for what, remove in _PRUNED.items():
                typer.echo(f"{await remove(db):,} {what}")
            await runs.forget_old(owner)
            if ledger_to is None:
                typer.echo("The ledger was left as it is: --ledger-to names no folder for its old batches.")
                return
            archiver = Archiver(StoredBooks(db), owner, signing.load(found.signing_keyring_dir), ledger_to)
            _tell(await archiver.run(datetime.now(UTC) - timedelta(days=ledger_days)))
    finally:
        await db.close()


def _tell(moved: Moved) -> None:
    typer.echo(f"{moved.batches:,} ledger batches with {moved.rows:,} rows moved to files")
    for path in moved.files:
        typer.echo(f"wrote {path}")
