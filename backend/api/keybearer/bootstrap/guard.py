"""Refuses a database where row-level security would be an ornament, or whose schema is another version's (D7, R1)."""

from typing import Any

import asyncpg

from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import runner
from keybearer.migrations.runner import Schema

_OLDEST = 160000
_ROLE = """
    SELECT current_setting('server_version_num')::int AS version,
           r.rolname AS name, r.rolsuper AS superuser, r.rolbypassrls AS bypasses,
           coalesce((SELECT pg_has_role(r.rolname, o.oid, 'MEMBER')
                       FROM pg_roles o WHERE o.rolname = 'keybearer_owner'), false) AS owner
      FROM pg_roles r WHERE r.rolname = current_user
"""


async def check_database(db: Database) -> Schema:
    """Raises ConfigurationError that says what to change. The schema may be a newer version's."""
    with db.address.explained():
        connection = await db.connect()
    try:
        await _check_role(connection)
        schema = await runner.current(connection)
    finally:
        await connection.close()
    schema.check()
    return schema


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
