"""The schema as it really is: row-level security on every tenant table, and tables.py telling the truth."""

import warnings

import asyncpg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from keybearer.kit.database import Database
from keybearer.kit.tables import metadata
from keybearer.migrations import runner
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

# Rule R1's one list: tables that belong to no tenant, or are read before one is known.
EXEMPT = {
    "tenants",
    "tenant_hosts",
    "bearers",
    "leases",
    "keks",
    "alembic_version",
    "ledger_batches",
    "ledger_eras",
    "ledger_archived",
    "restores",
    "maintenance_runs",
}


async def test_every_table_is_isolated_or_listed_as_exempt(database) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    rows = await connection.fetch(
        """
        SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced,
               array(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
          FROM pg_class c WHERE c.relnamespace = 'keybearer'::regnamespace AND c.relkind IN ('r', 'p')
        """
    )
    await connection.close()
    tables = {row["relname"]: row for row in rows}
    assert tables.keys() >= EXEMPT
    for name, row in tables.items():
        if name in EXEMPT:
            assert not row["policies"], name
        else:
            assert row["forced"], name
            assert {"tenant", "backup"} <= set(row["policies"]), name


async def test_a_backup_reads_every_row_and_changes_none(database) -> None:
    connection = await asyncpg.connect(database.owner_url, server_settings={"search_path": "keybearer"})
    await connection.execute("SET ROLE keybearer_backup")
    for name in await tables(connection):
        assert await connection.fetchval(f"SELECT count(*) FROM {name}") >= 0
        for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
            assert not await connection.fetchval("SELECT has_table_privilege($1, $2)", f"keybearer.{name}", right)
    await connection.execute("SET ROLE keybearer_owner; CREATE TABLE later (id int)")
    await connection.execute("SET ROLE keybearer_backup")
    assert await connection.fetchval("SELECT count(*) FROM later") == 0
    await connection.close()


async def tables(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'keybearer'")
    return [row["tablename"] for row in rows]


async def test_without_a_tenant_nothing_is_visible(db: Database) -> None:
    async with db.transaction(None) as tx:
        for table in ("users", "sessions", "connections", "ledger"):
            count = await tx.execute(sqlalchemy.text(f"SELECT count(*) FROM {table}"))
            assert count.scalar() == 0


@pytest.mark.parametrize("statement", ["UPDATE ledger SET code = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"])
async def test_the_application_cannot_change_the_ledger(db: Database, statement: str) -> None:
    with pytest.raises(sqlalchemy.exc.ProgrammingError, match="permission denied"):
        async with db.transaction(None) as tx:
            await tx.execute(sqlalchemy.text(statement))


async def test_migrating_twice_changes_nothing(database) -> None:
    outcome = await runner.migrate(database.owner_url)
    assert outcome.pending == ()
    assert outcome.before == outcome.after == runner.head()


async def test_tables_modules_agree_with_the_migrations(database) -> None:
    import keybearer.bootstrap  # noqa: F401 -- so that every domain's tables are known

    url = database.owner_url
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        async_creator=lambda: asyncpg.connect(url, server_settings={"search_path": "keybearer"}),
    )

    def missing(connection: sqlalchemy.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        relevant = {"add_table", "add_column", "remove_column", "modify_type"}
        differences = compare_metadata(context, metadata)
        return [d for d in differences if isinstance(d, tuple) and d[0] in relevant]

    async with engine.connect() as connection:
        with warnings.catch_warnings():  # SQLAlchemy has no xid8
            warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)
            differences = await connection.run_sync(missing)
        assert differences == []
    await engine.dispose()
