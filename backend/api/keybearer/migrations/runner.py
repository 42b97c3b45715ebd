"""Brings a database to this version's schema, under an advisory lock, so that many may start at once."""

from dataclasses import dataclass
from functools import cache
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

from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.database import SCHEMA
from keybearer.kit.errors import ConfigurationError, NotReady

_FOLDER = Path(__file__).parent
_LOCK = 0x6B657962  # "keyb"


@dataclass(frozen=True, slots=True)
class Outcome:
    before: str | None
    after: str
    pending: tuple[str, ...]

    @property
    def newer(self) -> bool:
        """A later version was here, so there is nothing for this one to do."""
        return Schema(self.after).newer


@dataclass(frozen=True, slots=True)
class Schema:
    """A database's schema, and how it stands to the one that this version needs. `revision` None: there is none."""

    revision: str | None

    @property
    def needed(self) -> str:
        return head()

    @property
    def newer(self) -> bool:
        """Revisions are numbered, so one of a later version, which we cannot know, is still known to come after ours.

        Versions that follow each other work on both schemas, so after a rollback it is served.
        """
        return self.revision is not None and self.revision > self.needed

    def check(self) -> None:
        """Raises NotReady where something is missing."""
        if self.revision != self.needed and not self.newer:
            raise NotReady(
                f"The database is at schema {self.revision or 'none'}, this version needs {self.needed}.",
                "Run `keybearer migrate`.",
            )


async def migrate(url: str, *, dry_run: bool = False) -> Outcome:
    """Raises ConfigurationError where there is no way in, or the login may not act as the owner."""

    address = DatabaseAddress(url, setting="MIGRATION_DATABASE_URL")

    async def connect() -> "asyncpg.Connection[Any]":
        with address.explained():
            return await address.connect(server_settings={"search_path": SCHEMA})

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


def script(outcome: Outcome) -> str:
    """What `migrate` would run to get from there to here, as psql takes it."""
    lines = [
        "BEGIN;",
        "SET LOCAL ROLE keybearer_owner;",
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA};",
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO keybearer_app;",
        f"SET LOCAL search_path = {SCHEMA};",
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) PRIMARY KEY);",
    ]
    for step in outcome.pending:
        (file,) = (_FOLDER / "versions").glob(f"{step.partition(' ')[0]}_*.sql")
        lines += [f"-- {step}", file.read_text(encoding="utf-8").strip()]
    lines += [
        "DELETE FROM alembic_version;",
        f"INSERT INTO alembic_version VALUES ('{outcome.after}');",  # noqa: S608 -- a number of ours
        "GRANT SELECT ON alembic_version TO keybearer_app;",
        "COMMIT;",
    ]
    return "\n".join(lines)


async def current(connection: "asyncpg.Connection[Any]") -> Schema:
    """The application's login may ask too."""
    if await connection.fetchval("SELECT to_regclass('keybearer.alembic_version')") is None:
        return Schema(None)
    return Schema(await connection.fetchval("SELECT version_num FROM keybearer.alembic_version"))


async def was_restored(connection: "asyncpg.Connection[Any]") -> bool:
    """Whether this database came from an archive, or was put back otherwise and settled."""
    if await connection.fetchval("SELECT to_regclass('keybearer.restores')") is None:
        return False
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM keybearer.restores)")
    return found


@cache
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
    if before is not None and Schema(before).newer:
        return Outcome(before=before, after=before, pending=())
    if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
        raise ConfigurationError(
            f"The database is at schema {before}, which is none of Keybearer's. Is "
            "KEYBEARER_MIGRATION_DATABASE_URL the right database?"
        )
    pending = tuple(
        f"{script.revision} {script.doc}"
        for script in reversed(list(scripts.iterate_revisions("head", before or "base")))
    )
    if pending and not dry_run:
        command.upgrade(config, "head")
        connection.execute(text("GRANT SELECT ON alembic_version TO keybearer_app"))
    return Outcome(before=before, after=head(), pending=pending)
