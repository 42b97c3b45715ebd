"""`keybearer init --database`: roles, the logins' passwords and the database, with the superuser's password at hand."""

import os
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

import asyncpg
import typer

from keybearer.cli import superuser, waiting
from keybearer.kit import settings
from keybearer.kit.connecting import DatabaseAddress, NoAnswer
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import cluster


def prepare(*, seconds: int, exporter: bool = False, environment: Mapping[str, str] = os.environ) -> None:
    """Repeats safely. Waits `seconds` for a server that does not answer yet."""
    address = superuser.address(environment)
    migration = DatabaseAddress(settings.migration_database_url(environment), setting="MIGRATION_DATABASE_URL")
    migrator, migration_password = migration.login()
    app_login, app_password = DatabaseAddress(*settings.application_database(environment)).login()
    if app_login not in cluster.APP_LOGINS or migrator != cluster.MIGRATION_LOGIN:
        raise ConfigurationError(
            f"KEYBEARER_DATABASE_URL must name the login {cluster.APP_LOGIN}, and KEYBEARER_MIGRATION_DATABASE_URL "
            f"{cluster.MIGRATION_LOGIN}, so that their passwords can be set."
        )
    if not (app_password and migration_password):
        raise ConfigurationError(
            "KEYBEARER_DATABASE_URL and KEYBEARER_MIGRATION_DATABASE_URL must hold the passwords that are to be set."
        )
    prepared = partial(
        cluster.prepare,
        address.url,
        database=urlsplit(migration.url).path.removeprefix("/"),
        app_login=app_login,
        app_password=app_password,
        migration_password=migration_password,
        exporter=exporter,
    )

    async def attempt() -> None:
        with address.explained():
            try:
                await prepared()
            except asyncpg.InvalidPasswordError as error:
                raise ConfigurationError(
                    "The database does not let `postgres` in. Its password is the one that it was first started with "
                    "or rotated to last; bring back that POSTGRES_PASSWORD, or set it there (docs/kubernetes.md)."
                ) from error

    waiting.run(waiting.until_ready(attempt, seconds=seconds, passing=NoAnswer))
    typer.echo("The roles, their passwords and the database are there.")
