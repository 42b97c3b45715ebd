"""Makes the schema of an earlier version, to be filled from an archive of that time and brought on from there.

Everything happens in the caller's transaction: a database is restored as a whole or is what it was.
"""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from keybearer.kit.database import SCHEMA, Transaction
from keybearer.migrations import runner


def knows(revision: str) -> bool:
    return revision in {script.revision for script in ScriptDirectory(str(runner._FOLDER)).walk_revisions()}


async def act_as_owner(tx: Transaction) -> None:
    """Waits for whoever migrates, and keeps others from it. Raises ConfigurationError."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": runner._LOCK})
    await tx.run_sync(runner._prepare, False)


async def rebuild(tx: Transaction, revision: str) -> None:
    """Drops all that is there. The caller has seen that nobody misses it."""
    await tx.execute(text(f"DROP SCHEMA {SCHEMA} CASCADE"))
    await tx.run_sync(runner._prepare, False)
    await tx.run_sync(_upgrade, revision)


async def finish(tx: Transaction) -> None:
    """On to this version's schema."""
    await tx.run_sync(_upgrade, "head")
    await tx.execute(text("GRANT SELECT ON alembic_version TO keybearer_app"))


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(runner._FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
