"""A database for a trial, made and dropped beside the real one with the migrating login."""

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg

from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.errors import ConfigurationError

_TIME = "%Y%m%d%H%M%S"
_NAME = re.compile(r"keybearer_drill_(\d{14})_[0-9a-f]{8}")
_LEFT_OVER = timedelta(hours=6)


@asynccontextmanager
async def database(url: str) -> AsyncIterator[str]:
    """Its name. Raises ConfigurationError where the login may make none."""
    address = DatabaseAddress(url, setting="MIGRATION_DATABASE_URL")
    with address.explained():
        connection = await address.connect()
    try:
        await _drop_left_over(connection)
        name = f"keybearer_drill_{datetime.now(UTC).strftime(_TIME)}_{secrets.token_hex(4)}"
        try:
            await connection.execute(f'CREATE DATABASE "{name}" OWNER keybearer_owner TEMPLATE template0')
        except asyncpg.InsufficientPrivilegeError as error:
            raise ConfigurationError(
                "KEYBEARER_MIGRATION_DATABASE_URL: this login may not create the database for the drill. Run `ALTER "
                "ROLE keybearer_migrator CREATEDB` with a login that may."
            ) from error
        try:
            yield name
        finally:
            await connection.execute(f'DROP DATABASE "{name}"')
    finally:
        await connection.close()


def inside(url: str, name: str) -> str:
    """The same server and login, another database."""
    return urlsplit(url)._replace(path=f"/{quote(name, safe='')}").geturl()


async def _drop_left_over(connection: "asyncpg.Connection[Any]") -> None:
    """Of drills that were killed."""
    for record in await connection.fetch("SELECT datname FROM pg_database"):
        match = _NAME.fullmatch(record["datname"])
        if match and datetime.strptime(match[1], _TIME).replace(tzinfo=UTC) < datetime.now(UTC) - _LEFT_OVER:
            with suppress(asyncpg.ObjectInUseError, asyncpg.InvalidCatalogNameError):
                await connection.execute(f'DROP DATABASE "{match[0]}"')
