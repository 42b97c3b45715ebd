"""Backups: a role that reads everything, what is known of a restore, and where the ledger's archive ends."""

from pathlib import Path

from alembic import op
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations.script import execute
from sqlalchemy import text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if not op.get_bind().execute(text("SELECT 1 FROM pg_roles WHERE rolname = 'keybearer_backup'")).scalar():
        raise ConfigurationError(
            "The role keybearer_backup is missing: it is new in this version. Run `keybearer migrate --roles` with a "
            "login that may create roles, or the SQL that `keybearer migrate --roles --dry-run` prints, and then "
            "`keybearer migrate` again. Nothing was changed."
        )
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
