"""Prepares an empty PostgreSQL server: roles, login passwords and the database, for `keybearer up` and tests."""

from keybearer.kit.connecting import DatabaseAddress
from keybearer.migrations.runner import roles_script

APP_LOGIN = "keybearer_app_a"
MIGRATION_LOGIN = "keybearer_migrator"


async def prepare(superuser_url: str, *, database: str, app_password: str, migration_password: str) -> None:
    """Repeats safely; the passwords are set each time."""
    connection = await DatabaseAddress(superuser_url).connect()
    try:
        await connection.execute(roles_script())
        for login, password in ((APP_LOGIN, app_password), (MIGRATION_LOGIN, migration_password)):
            statement = await connection.fetchval(
                "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", login, password
            )
            await connection.execute(statement)
        if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", database):
            await connection.execute(f'CREATE DATABASE "{database}" OWNER keybearer_owner')
    finally:
        await connection.close()
