"""Refuses a database where row-level security would be an ornament, or whose schema is another version's (D7, R1)."""

from typing import Any

import asyncpg

from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import runner

_OLDEST = 160000
_ROLE = """
    SELECT current_setting('server_version_num')::int AS version,
           r.rolname AS name, r.rolsuper AS superuser, r.rolbypassrls AS bypasses,
           coalesce((SELECT pg_has_role(r.rolname, o.oid, 'MEMBER')
                       FROM pg_roles o WHERE o.rolname = 'keybearer_owner'), false) AS owner
      FROM pg_roles r WHERE r.rolname = current_user
"""


async def check_database(db: Database, url: str) -> None:
    """Raises ConfigurationError that says what to change."""
    try:
        connection = await db.connect()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConfigurationError(
            f"KEYBEARER_DATABASE_URL: the database does not let us in ({type(error).__name__}). Check that it runs, "
            "and the login and password."
        ) from error
    except ValueError:  # the parser's words may quote the password
        raise ConfigurationError(
            "KEYBEARER_DATABASE_URL is not a URL that can be read. Write postgresql://user:password@host:5432/database "
            "with %40 for an @ in the password."
        ) from None
    try:
        await _check_role(connection)
    finally:
        await connection.close()
    await _check_schema(url)


async def _check_role(connection: "asyncpg.Connection[Any]") -> None:
    role = await connection.fetchrow(_ROLE)
    assert role is not None, "current_user is always a role"
    if role["version"] < _OLDEST:
        raise ConfigurationError("KEYBEARER_DATABASE_URL: PostgreSQL 16 or newer is needed.")
    reasons = (("superuser", "is a superuser"), ("bypasses", "has BYPASSRLS"), ("owner", "is a member of the owner"))
    for column, reason in reasons:
        if role[column]:
            raise ConfigurationError(
                f"KEYBEARER_DATABASE_URL: the login {role['name']!r} {reason}, so tenants would not be isolated. "
                "Use the login keybearer_app_a; docs/settings.md says how it is made."
            )


async def _check_schema(url: str) -> None:
    present = await runner.current(url)
    if present != runner.head():
        raise ConfigurationError(
            f"The database is at schema {present or 'none'}, this version needs {runner.head()}. "
            "Run `keybearer migrate`."
        )
