"""New passwords of database logins (rule R9): of the application's idle one, or in place where Jobs alone use it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import cluster

_LOOK_SECONDS = 0.5
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"


async def set_login(migrating: DatabaseAddress, login: str, password: str) -> None:
    """Raises ConfigurationError where the migrating login may not."""
    async with _connected(migrating, login) as connection:
        await _change(connection, login, password)


async def end_login(
    migrating: DatabaseAddress, login: str, seconds: float, tell: Callable[[int], None] = lambda _: None
) -> int:
    """Waits up to `seconds` for its last session, ends what is left, and gives it a password that nobody knows.

    Answers how many sessions had to be ended. `tell` gets how many there are.
    """
    async with _connected(migrating, login) as connection:
        deadline = asyncio.get_running_loop().time() + seconds
        while sessions := await connection.fetchval(_SESSIONS, login):
            tell(sessions)
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        # The password first: who is thrown out must not come back with the old one.
        await _change(connection, login, secrets.token_urlsafe(32))
        return len(await connection.fetch(_END, login))


async def set_own(address: DatabaseAddress, login: str, password: str) -> None:
    """Of the login that `address` signs in as. Repeats safely: who changed it and could not tell is let in again."""
    with address.explained():
        try:
            connection = await address.connect((login, address.login()[1]))
        except asyncpg.InvalidPasswordError:
            connection = await address.connect((login, password))
    try:
        await cluster.set_password(connection, login, password)
    finally:
        await connection.close()


@asynccontextmanager
async def _connected(migrating: DatabaseAddress, login: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    if login not in cluster.APP_LOGINS:
        known = " and ".join(cluster.APP_LOGINS)
        raise ConfigurationError(f"{login!r} is no login of the application. It has {known}.")
    with migrating.explained():
        connection = await migrating.connect()
    try:
        yield connection
    finally:
        await connection.close()


async def _change(connection: "asyncpg.Connection[Any]", login: str, password: str) -> None:
    try:
        await cluster.set_password(connection, login, password)
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            f"The migrating login may not change the password of {login}. Let whoever may create roles run what "
            "`keybearer migrate --roles` prints."
        ) from error
