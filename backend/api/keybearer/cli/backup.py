"""`keybearer backup`."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import typer

from keybearer.backups import exporting, making
from keybearer.backups.making import Made
from keybearer.cli import owning, progress
from keybearer.keys import keyring
from keybearer.keys.service import Keys
from keybearer.kit import settings


def backup(
    *,
    to: Path | None,
    keep_days: int | None,
    erasures_to: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    if to is not None:
        _tell(asyncio.run(_backup(to, keep_days, environment)))
    if erasures_to is not None:
        added = asyncio.run(_export(erasures_to, environment))
        typer.echo(f"{added:,} deleted people added to the erasure log in {erasures_to}.")


def _tell(made: Made) -> None:
    rows = sum(made.counts.values())
    typer.echo(f"{made.path}: {rows:,} rows, {made.size:,} bytes, read back and whole.")
    needed = ", ".join(sorted({made.key_id, *made.manifest.keks}))
    typer.echo(f"It needs {needed} of the keyring, which is not in it: keep a copy of that elsewhere.")
    for path in made.removed:
        typer.echo(f"removed {path}")


async def _export(to: Path, environment: Mapping[str, str]) -> int:
    async with owning.opened(environment) as db:
        return await exporting.export_erasures(db, to)


async def _backup(to: Path, keep_days: int | None, environment: Mapping[str, str]) -> Made:
    keys = Keys(keyring.load(settings.keyring_dir(environment)))
    async with owning.opened(environment) as db:
        with progress.shown("Backing up") as tell:
            return await making.make(db, keys, to, keep_days=keep_days, tell=tell)
