"""SQL of archives: one snapshot out, one transaction in."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any

import asyncpg
from sqlalchemy import insert, text

from keybearer.backups.archive import Table
from keybearer.backups.tables import maintenance_runs
from keybearer.kit.database import SCHEMA, Transaction
from keybearer.kit.errors import ConfigurationError

# What lives for minutes, and what must not come back: a session that ended after the backup would be alive again.
_LEFT_OUT = ("alembic_version", "leases", "outbox", "flows", "sessions", "bearers", "refresh_journal")
_UNLIMITED = text(
    "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)"
)
_MAY_BECOME = text("SELECT pg_has_role(current_user, oid, 'SET') FROM pg_roles WHERE rolname = :role")
_TABLES = text(
    """
    SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind IN ('r', 'p') AND a.attnum > 0
       AND NOT a.attisdropped AND a.attgenerated = '' AND c.relname <> ALL (:left_out)
     GROUP BY c.relname
    """
)
_REFERENCES = text(
    """
    SELECT child.relname AS child, parent.relname AS parent
      FROM pg_constraint k
      JOIN pg_class child ON child.oid = k.conrelid
      JOIN pg_class parent ON parent.oid = k.confrelid
     WHERE k.contype = 'f' AND k.connamespace = to_regnamespace(:schema) AND k.conrelid <> k.confrelid
    """
)
_IS_THERE = text("SELECT to_regclass(:table) IS NOT NULL")
_REVISION = text("SELECT version_num FROM alembic_version")


async def begin_snapshot(tx: Transaction) -> datetime:
    """What is read from here on is of one moment, of every tenant, and cannot be changed; answers the moment.

    Raises ConfigurationError where the login may not read like this.
    """
    await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    await tx.execute(_UNLIMITED)
    if not (await tx.execute(_MAY_BECOME, {"role": "keybearer_backup"})).scalar():
        raise ConfigurationError(
            "KEYBEARER_MIGRATION_DATABASE_URL: this login is no member of keybearer_backup. Use keybearer_migrator, "
            "after `keybearer migrate --roles` with a login that may create roles."
        )
    await tx.execute(text("SET LOCAL ROLE keybearer_backup"))
    at: datetime = (await tx.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return at


async def revision(tx: Transaction) -> str:
    """Raises ConfigurationError for a database that is not Keybearer's."""
    if not (await tx.execute(_IS_THERE, {"table": f"{SCHEMA}.alembic_version"})).scalar():
        raise ConfigurationError(
            "KEYBEARER_MIGRATION_DATABASE_URL: there is no Keybearer in this database. Is it the right one?"
        )
    found: str = (await tx.execute(_REVISION)).scalar_one()
    return found


async def tables(tx: Transaction) -> list[Table]:
    """What belongs into an archive, each after those that it refers to."""
    rows = await tx.execute(_TABLES, {"schema": SCHEMA, "left_out": list(_LEFT_OUT)})
    found = {row.name: Table(row.name, tuple(row.columns)) for row in rows}
    order: TopologicalSorter[str] = TopologicalSorter({name: set() for name in sorted(found)})
    for row in await tx.execute(_REFERENCES, {"schema": SCHEMA}):
        order.add(row.child, row.parent)
    return [found[name] for name in order.static_order() if name in found]


async def copy_out(tx: Transaction, table: Table, write: Callable[[bytes], Coroutine[Any, Any, None]]) -> int:
    """How many rows there are."""
    driver = await _driver(tx)
    status = await driver.copy_from_table(table.name, schema_name=SCHEMA, columns=table.columns, output=write)
    return int(status.rpartition(" ")[2])


async def add_run(
    tx: Transaction,
    kind: str,
    *,
    seconds: float,
    archive: str | None = None,
    lost_seconds: float | None = None,
    problem: str | None = None,
) -> None:
    """How a piece of maintenance went; without a problem, well."""
    await tx.execute(
        insert(maintenance_runs).values(
            kind=kind,
            outcome="ok" if problem is None else "failed",
            seconds=seconds,
            archive=archive,
            lost_seconds=lost_seconds,
            problem=problem,
        )
    )


async def _driver(tx: Transaction) -> "asyncpg.Connection[Any]":
    """Of the same connection, and so in the same transaction."""
    driver: asyncpg.Connection[Any] | None = (await tx.get_raw_connection()).driver_connection
    assert driver is not None, "the connection is open"
    return driver
