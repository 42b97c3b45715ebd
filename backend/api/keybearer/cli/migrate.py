"""`keybearer migrate`."""

import asyncio

import asyncpg
import typer

from keybearer.cli import waiting
from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.errors import ConfigurationError, NotReady
from keybearer.kit.settings import application_database, migration_database_url
from keybearer.migrations import runner

_ON_A_CLUSTER = "On a cluster, the log of the migrate Job tells what holds it up."


def migrate(*, dry_run: bool, roles: bool) -> None:
    if roles:
        _roles(dry_run=dry_run)
        return
    outcome = waiting.run(runner.migrate(migration_database_url(), dry_run=dry_run))
    if dry_run and outcome.pending:
        typer.echo(runner.script(outcome))
        return
    for step in outcome.pending:
        typer.echo(f"applied {step}")
    if outcome.newer:
        typer.echo(f"The database is at a newer schema ({outcome.after}) than this version; there is nothing to do.")
    elif not outcome.pending:
        typer.echo(f"The database is at schema {outcome.after}; there is nothing to do.")


def wait(*, seconds: int, restored: bool = False) -> None:
    """Until the application's login finds the schema that this version needs, or a newer one."""
    url, credentials_dir = application_database()
    address = DatabaseAddress(url, credentials_dir)
    schema = waiting.run(
        waiting.until_ready(lambda: _schema(address, restored=restored), seconds=seconds, at_last=_ON_A_CLUSTER)
    )
    newer = ", which is newer than this version's" if schema.newer else ""
    typer.echo(f"The database is at schema {schema.revision}{newer}.")


async def _schema(address: DatabaseAddress, *, restored: bool) -> runner.Schema:
    with address.explained():
        connection = await address.connect(seconds=5)
        try:
            schema = await runner.current(connection)
            waits = restored and not await runner.was_restored(connection)
        finally:
            await connection.close()
    if waits:
        raise NotReady(
            "A restore was asked for, and none was done in this database.",
            "Look into the log of the restore Job, or withdraw what was asked (restore.archive).",
        )
    schema.check()
    return schema


def _roles(*, dry_run: bool) -> None:
    if dry_run:
        typer.echo(runner.roles_script())
        return
    asyncio.run(_make_roles(migration_database_url()))
    typer.echo("The roles are there. Give keybearer_app_a, keybearer_app_b and keybearer_migrator their passwords.")


async def _make_roles(url: str) -> None:
    address = DatabaseAddress(url, setting="MIGRATION_DATABASE_URL")
    with address.explained():
        connection = await address.connect()
    try:
        await connection.execute(runner.roles_script())
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            "KEYBEARER_MIGRATION_DATABASE_URL: this login may not create roles. Use one that may, or hand the SQL of "
            "`keybearer migrate --roles --dry-run` to your database administrator."
        ) from error
    finally:
        await connection.close()
