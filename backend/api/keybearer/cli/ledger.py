"""`keybearer ledger`: reads the record, and proves that nobody changed it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from keybearer.cli import failures

if TYPE_CHECKING:
    from keybearer.keys.signing import SigningKeyring
    from keybearer.kit.database import Database
    from keybearer.kit.settings import Settings
    from keybearer.ledger.chain import Archived
    from keybearer.ledger.checkpoint import Checkpoint
    from keybearer.ledger.model import Item
    from keybearer.ledger.verify import Report

_DEFAULT_TENANT = UUID("00000000-0000-7000-8000-000000000001")
_REPORT_SECONDS = 5.0
_LATE_SECONDS = 60.0

app = typer.Typer(help="Read the record of who did what, and prove that nobody changed it.", no_args_is_help=True)


@app.command()
def verify(
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="A saved answer of GET /api/ledger/checkpoint, or log lines: shows a cut-off end.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="The folder that `keybearer prune` moved old batches to: proves those too.", file_okay=False),
    ] = None,
) -> None:
    """Walk every batch and row; name the first that was changed, removed, added or moved, and exit 1."""
    with failures.explained():
        kept = checkpoint.read_text(encoding="utf-8", errors="replace") if checkpoint else None
        asyncio.run(_verify(kept, archive))


@app.command("list")
def list_entries(
    action: Annotated[str | None, typer.Option(help="An action or its family: `proxy` finds `proxy.call`.")] = None,
    provider: Annotated[str | None, typer.Option(help="For example spotify.")] = None,
    connection: Annotated[UUID | None, typer.Option(help="A connection's id.")] = None,
    person: Annotated[UUID | None, typer.Option(help="A person's id.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="At this time or later: 2026-11-22T18:00Z.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    after: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    tenant: Annotated[UUID, typer.Option(help="The tenant's id.")] = _DEFAULT_TENANT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, as the API answers it.")] = False,
) -> None:
    """Show entries, newest first."""
    from keybearer.ledger.model import Query

    query = Query(
        action=action.removesuffix(".*") if action else None,
        provider=provider,
        connection_id=connection,
        user_id=person,
        since=_time(since, "--from"),
        until=_time(until, "--to"),
    )
    with failures.explained():
        items, following = asyncio.run(_list(query, tenant, limit, after))
    if as_json:
        from keybearer.ledger.routes import entry_wire

        page = {"items": [entry_wire(item).model_dump(mode="json") for item in items], "next": following}
        typer.echo(json.dumps(page, indent=2))
        return
    _print_table(items, following)


async def _verify(checkpoint: str | None, archive: Path | None) -> None:
    from keybearer.keys import signing
    from keybearer.ledger import checkpoint as checkpoints
    from keybearer.ledger.background import StoredBooks
    from keybearer.ledger.verify import verify as walk

    known = checkpoints.read(checkpoint) if checkpoint is not None else []
    async with _database() as (settings, db):
        signers = signing.load(settings.signing_keyring_dir)
        with _progress() as progress:
            report = await walk(StoredBooks(db), signers, checkpoints=known, progress=progress)
    _print_report(report, with_checkpoint=bool(known))
    whole = report.problem is None
    if report.archived is not None:
        whole = await _verify_archive(report.archived, archive, signers, known) and whole
    if not whole:
        raise typer.Exit(1)


async def _verify_archive(
    archived: Archived, folder: Path | None, signers: SigningKeyring, known: Sequence[Checkpoint]
) -> bool:
    from keybearer.ledger import files
    from keybearer.ledger.checkpoint import Checkpoint, instant
    from keybearer.ledger.verify import Broken, prove

    what = f"Batches up to no. {archived.no}, moved to files by {instant(archived.at).date()},"
    if folder is None:
        typer.echo(f"{what} were not looked at. Prove them with --archive and the folder that they are in.")
        return True
    end = Checkpoint(archived.no, archived.hash, archived.key_id, archived.signature)
    concerned = [end, *(each for each in known if each.no <= archived.no)]
    try:
        await prove(files.FileBooks(files.find(folder)), signers, None, checkpoints=concerned)
    except Broken as problem:
        typer.echo(f"{what} are NOT whole: {problem}.")
        return False
    typer.echo(f"{what} are as they were sealed.")
    return True


async def _list(query: object, tenant: UUID, limit: int, after: str | None) -> tuple[list[Item], str | None]:
    from keybearer.keys import keyring
    from keybearer.keys.service import Keys
    from keybearer.ledger.model import Query
    from keybearer.ledger.reading import Reading

    assert isinstance(query, Query)
    async with _database() as (settings, db):
        reading = Reading(db, Keys(keyring.load(settings.keyring_dir)))
        return await reading.list_tenant(tenant, query, after=after, limit=limit)


@asynccontextmanager
async def _database() -> AsyncIterator[tuple[Settings, Database]]:
    from keybearer.kit import settings as environment
    from keybearer.kit.database import Database

    settings = environment.read()
    db = Database(settings.database_url, credentials_dir=settings.database_credentials_dir, pool_size=2)
    try:
        yield settings, db
    finally:
        await db.close()


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A line that changes on a terminal, and one every few seconds elsewhere."""
    if not sys.stderr.isatty():
        told = time.monotonic()

        def tell(batches: int, rows: int) -> None:
            nonlocal told
            if time.monotonic() - told >= _REPORT_SECONDS:
                told = time.monotonic()
                typer.echo(f"{batches:,} batches with {rows:,} rows verified", err=True)

        yield tell
        return
    from rich.console import Console

    with Console(stderr=True).status("Verifying") as status:
        yield lambda batches, rows: status.update(f"{batches:,} batches with {rows:,} rows verified")


def _print_report(report: Report, *, with_checkpoint: bool) -> None:
    from keybearer.ledger.checkpoint import instant

    proved = f"{report.batches:,} batches with {report.rows:,} rows"
    if report.problem is not None:
        typer.echo(f"The ledger is NOT whole: {report.problem}.")
        typer.echo(f"Before that, {proved} are as they were sealed.")
        return
    if report.last is None:
        typer.echo("Nothing is sealed yet.")
    else:
        seal = report.last.seal
        sealed_at = instant(seal.sealed_at).isoformat(timespec="seconds")
        typer.echo(f"The ledger is whole: {proved} are as they were sealed.")
        typer.echo(f"The newest batch is no. {seal.no} of {sealed_at}, signed with {seal.key_id}: {seal.hash.hex()}")
    if report.remainder is not None and report.remainder.unsealed:
        age = report.remainder.oldest_seconds or 0.0
        typer.echo(
            f"Not sealed yet, and so not proved: {report.remainder.unsealed:,} rows, the oldest {age:.0f} s old."
        )
        if age > _LATE_SECONDS:
            typer.echo("Sealing is behind: no server is running, or a transaction has been open for long.")
    if not with_checkpoint:
        typer.echo(
            "Whether the newest batches were cut off cannot be seen without a checkpoint. Keep what "
            "GET /api/ledger/checkpoint answers in another place, and pass it with --checkpoint."
        )


def _print_table(items: list[Item], following: str | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 240)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("when (UTC)", "what", "outcome", "who", "provider", "account", "call", "why", "batch"):
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(*(Text(_printable(cell)) for cell in _cells(item)))
    console.print(table)
    if following is not None:
        console.print(f"More: --after {following}", markup=False)


def _cells(item: Item) -> tuple[str, ...]:
    who = item.text("agent") or item.user_name or (str(item.user_id) if item.user_id else item.actor_kind)
    call = (item.method, item.text("path"), item.status, f"{item.duration_ms} ms" if item.duration_ms else None)
    return (
        item.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        item.action,
        f"{item.outcome} ({item.code})" if item.code else item.outcome,
        who,
        item.provider or "",
        item.text("account") or "",
        " ".join(str(part) for part in call if part is not None),
        item.text("reason") or "",
        str(item.batch) if item.batch is not None else "not sealed",
    )


def _printable(cell: str) -> str:
    """Agents and paths are strangers' words: an escape sequence in one must not reach the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in cell)


def _time(value: str | None, option: str) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter("use the form 2026-11-22T18:00Z", param_hint=option) from None
