"""SQL of archives: one snapshot out, one transaction in."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import delete, func, insert, select, text, update

from keybearer.backups.archive import Table
from keybearer.backups.tables import maintenance_runs, restores
from keybearer.kit.database import SCHEMA, Transaction
from keybearer.kit.errors import ConfigurationError

# What lives for minutes, and what must not come back: a session that ended after the backup would be alive again.
_REVISIONS = "alembic_version"
_LEFT_OUT = (
    _REVISIONS, "leases", "outbox", "flows", "passkey_challenges", "sessions", "bearers", "refresh_journal",
    "refresh_families", "refresh_tokens", "api_keys", "invitations", "letters", "errands",
)  # fmt: skip
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
# What an installation has before anybody used it.
_SEEDED = ("keks", "tenants", "tenant_hosts", "ledger_eras", "maintenance_runs")
_SERVERS = text(
    """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database()
       AND usesysid IN (SELECT member FROM pg_auth_members WHERE roleid = to_regrole('keybearer_app'))
    """
)
_GUARDED = text(
    "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(:schema) AND relforcerowsecurity ORDER BY 1"
)
_COUNTERS = text(
    """
    SELECT c.relname AS name, a.attname AS counted FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = to_regnamespace(:schema) AND a.attidentity <> ''
    """
)


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


async def copy_in(tx: Transaction, table: Table, blocks: AsyncIterator[bytes]) -> int:
    driver = await _driver(tx)
    status = await driver.copy_to_table(table.name, schema_name=SCHEMA, columns=table.columns, source=blocks)
    return int(status.rpartition(" ")[2])


@asynccontextmanager
async def unguarded(tx: Transaction) -> AsyncIterator[None]:
    """The owner sees and changes every tenant's rows; nobody else can see these tables until the transaction ends."""
    guarded = (await tx.execute(_GUARDED, {"schema": SCHEMA})).scalars().all()
    for name in guarded:
        await tx.execute(text(f'ALTER TABLE "{name}" NO FORCE ROW LEVEL SECURITY'))
    yield
    for name in guarded:
        await tx.execute(text(f'ALTER TABLE "{name}" FORCE ROW LEVEL SECURITY'))


async def unlimited(tx: Transaction) -> None:
    await tx.execute(_UNLIMITED)


async def servers(tx: Transaction) -> int:
    """How many connections the application has at this moment."""
    await tx.execute(text("SELECT pg_stat_clear_snapshot()"))
    found: int = (await tx.execute(_SERVERS)).scalar_one()
    return found


async def find_used_table(tx: Transaction) -> str | None:
    """A table with rows that somebody made. `tx` sees every tenant's."""
    if not (await tx.execute(_IS_THERE, {"table": f"{SCHEMA}.alembic_version"})).scalar():
        return None
    found = await tx.execute(_TABLES, {"schema": SCHEMA, "left_out": [*_SEEDED, *_LEFT_OUT]})
    for name in sorted(row.name for row in found):
        if (await tx.execute(text(f'SELECT EXISTS (SELECT FROM "{name}")'))).scalar():  # noqa: S608 -- of the catalogue
            return str(name)
    for name in ("tenants", "ledger_eras"):
        if (await tx.execute(text(f"SELECT count(*) FROM {name}"))).scalar_one() > 1:  # noqa: S608 -- our own names
            return name
    return None


async def empty(tx: Transaction) -> None:
    """All of it."""
    found = await tx.execute(_TABLES, {"schema": SCHEMA, "left_out": [_REVISIONS]})
    await _truncate(tx, [row.name for row in found])


async def empty_short_lived(tx: Transaction) -> None:
    """What an archive leaves out; a database that was put back by other means has it."""
    await _truncate(tx, [name for name in _LEFT_OUT if name != _REVISIONS])


async def count_on(tx: Transaction) -> None:
    """Rows to come get numbers above those that are there."""
    for row in (await tx.execute(_COUNTERS, {"schema": SCHEMA})).all():
        await tx.execute(
            text(
                f"SELECT setval(pg_get_serial_sequence(:table, :counted), coalesce(max({row.counted}), 1),"  # noqa: S608
                f' max({row.counted}) IS NOT NULL) FROM "{row.name}"'
            ),
            {"table": row.name, "counted": row.counted},
        )


async def tenants(tx: Transaction) -> list[UUID]:
    return list((await tx.execute(text("SELECT id FROM tenants ORDER BY id"))).scalars())


async def become(tx: Transaction, tenant_id: UUID) -> None:
    await tx.execute(text("SELECT set_config('kb.tenant', :tenant, true)"), {"tenant": str(tenant_id)})


async def add_restore(
    tx: Transaction, era: int, archive: str | None, archived_at: datetime | None, *, settled: bool
) -> None:
    await tx.execute(insert(restores).values(era=era, archive=archive, archived_at=archived_at))
    if settled:
        await settle(tx)


async def settle(tx: Transaction) -> None:
    """The erasures were replayed."""
    waiting = update(restores).where(restores.c.erasures_replayed_at.is_(None))
    await tx.execute(waiting.values(erasures_replayed_at=func.now()))


async def waits_for_erasures(tx: Transaction) -> bool:
    waiting = select(restores.c.era).where(restores.c.erasures_replayed_at.is_(None)).limit(1)
    return (await tx.execute(waiting)).first() is not None


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


async def forget_runs(tx: Transaction, days: int) -> int:
    """All older ones; a success that old is as good as none."""
    old = delete(maintenance_runs).where(maintenance_runs.c.at < func.now() - func.make_interval(0, 0, 0, days))
    return (await tx.execute(old)).rowcount


async def last_successes(tx: Transaction) -> dict[str, float]:
    """Kind of maintenance → seconds since 1970."""
    at = func.extract("epoch", func.max(maintenance_runs.c.at)).label("at")
    query = select(maintenance_runs.c.kind, at).where(maintenance_runs.c.outcome == "ok")
    return {row.kind: float(row.at) for row in await tx.execute(query.group_by(maintenance_runs.c.kind))}


async def _truncate(tx: Transaction, names: Sequence[str]) -> None:
    listed = ", ".join(f'"{name}"' for name in names)
    await tx.execute(text(f"TRUNCATE {listed}"))


async def _driver(tx: Transaction) -> "asyncpg.Connection[Any]":
    """Of the same connection, and so in the same transaction."""
    driver: asyncpg.Connection[Any] | None = (await tx.get_raw_connection()).driver_connection
    assert driver is not None, "the connection is open"
    return driver
