"""A database of the version before: its rows stay, and what it lacks is said."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from keybearer.cli import postgres
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import cluster, runner

VERSIONS = Path(runner.__file__).parent / "versions"
TENANT = "00000000-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[postgres.Server]:
    """One of its own, because roles are the whole server's."""
    with postgres.running(tmp_path_factory.mktemp("pg"), settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
async def older(server: postgres.Server) -> AsyncIterator[str]:
    """A database as version 0001 left it, with a person; the migrating login's URL."""
    await cluster.prepare(server.superuser_dsn(), database="older", app_password="app", migration_password="migrator")
    admin = await asyncpg.connect(server.superuser_dsn())
    await admin.execute("DROP ROLE keybearer_backup")
    await admin.close()
    url = server.dsn(cluster.MIGRATION_LOGIN, "migrator", "older")
    connection = await asyncpg.connect(url, server_settings={"search_path": "keybearer"})
    await connection.execute("SET ROLE keybearer_owner; CREATE SCHEMA keybearer")
    await connection.execute("GRANT USAGE ON SCHEMA keybearer TO keybearer_app")
    await connection.execute((VERSIONS / "0001_initial.sql").read_text())
    await connection.execute(
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('0001');"
        f"SELECT set_config('kb.tenant', '{TENANT}', false);"
        f"INSERT INTO users (tenant_id, id, name) VALUES ('{TENANT}', '{uuid4()}', 'Alice')"
    )
    await connection.close()
    yield url
    admin = await asyncpg.connect(server.superuser_dsn())
    await admin.execute("DROP DATABASE older WITH (FORCE)")
    await admin.close()


async def test_a_missing_role_is_named_and_once_it_is_made_everything_stays(server, older) -> None:
    with pytest.raises(ConfigurationError, match=r"keybearer_backup is missing.*migrate --roles"):
        await runner.migrate(older)
    connection = await asyncpg.connect(older)
    assert await connection.fetchval("SELECT version_num FROM keybearer.alembic_version") == "0001"
    await connection.close()

    admin = await asyncpg.connect(server.superuser_dsn())
    await admin.execute(runner.roles_script())
    await admin.execute(runner.roles_script())
    await admin.close()
    outcome = await runner.migrate(older)

    assert (outcome.before, outcome.after) == ("0001", runner.head())
    connection = await asyncpg.connect(older, server_settings={"search_path": "keybearer"})
    await connection.execute("SET ROLE keybearer_backup")
    assert await connection.fetchval("SELECT name FROM users") == "Alice"
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == runner.head()
    await connection.close()


async def test_the_backup_role_is_taken_on_and_never_had_unasked(server, older) -> None:
    admin = await asyncpg.connect(server.superuser_dsn())
    await admin.execute(runner.roles_script())
    await admin.close()
    await runner.migrate(older)
    connection = await asyncpg.connect(older, server_settings={"search_path": "keybearer"})
    assert await connection.fetchval("SELECT count(*) FROM users") == 0
    await connection.execute("SET ROLE keybearer_backup")
    assert await connection.fetchval("SELECT count(*) FROM users") == 1
    await connection.close()
    app = await asyncpg.connect(server.dsn(cluster.APP_LOGIN, "app", "older"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("SET ROLE keybearer_backup")
    await app.close()
