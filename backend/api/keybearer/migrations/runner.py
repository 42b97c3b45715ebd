"""Brings a database to this version's schema, under an advisory lock, so that many may start at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from keybearer.kit.database import SCHEMA, asyncpg_url
from keybearer.kit.errors import ConfigurationError

_FOLDER = Path(__file__).parent
_LOCK = 0x6B657962  # "keyb"


@dataclass(frozen=True, slots=True)
class Outcome:
    before: str | None
    after: str
    pending: tuple[str, ...]


async def migrate(url: str, *, dry_run: bool = False) -> Outcome:
    """Raises ConfigurationError when the login may neither create the roles nor act as the owner."""

    async def connect() -> "asyncpg.Connection[Any]":
        return await asyncpg.connect(asyncpg_url(url), server_settings={"search_path": SCHEMA}, timeout=10)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_prepare, dry_run)
            return await connection.run_sync(_upgrade, dry_run)
    finally:
        await engine.dispose()


def roles_script() -> str:
    """The SQL that makes the roles; an installation whose migrating login may not, runs it by hand once."""
    return (_FOLDER / "roles.sql").read_text(encoding="utf-8")


async def current(url: str) -> str | None:
    """The revision that the database is at, None for an empty one; `url` may be the application's login."""
    connection = await asyncpg.connect(asyncpg_url(url), timeout=10)
    try:
        if await connection.fetchval("SELECT to_regclass('keybearer.alembic_version')") is None:
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM keybearer.alembic_version")
        return revision
    finally:
        await connection.close()


def head() -> str:
    revision = ScriptDirectory(str(_FOLDER)).get_current_head()
    assert revision is not None, "there is at least one migration"
    return revision


def _prepare(connection: Connection, dry_run: bool) -> None:
    may_own = connection.execute(
        text("SELECT pg_has_role(current_user, oid, 'SET') FROM pg_roles WHERE rolname = 'keybearer_owner'")
    ).scalar()
    if may_own is None or not may_own:
        raise ConfigurationError(
            "KEYBEARER_MIGRATION_DATABASE_URL: this login is no member of keybearer_owner. Run "
            "`keybearer migrate --roles` with a login that may create roles, or the SQL that "
            "`keybearer migrate --roles --dry-run` prints."
        )
    if dry_run:
        return
    connection.execute(text("SET LOCAL ROLE keybearer_owner"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO keybearer_app"))


def _upgrade(connection: Connection, dry_run: bool) -> Outcome:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    before = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA}).get_current_revision()
    pending = tuple(
        f"{script.revision} {script.doc}"
        for script in reversed(list(scripts.iterate_revisions("head", before or "base")))
    )
    if pending and not dry_run:
        command.upgrade(config, "head")
        connection.execute(text("GRANT SELECT ON alembic_version TO keybearer_app"))
    return Outcome(before=before, after=head(), pending=pending)
