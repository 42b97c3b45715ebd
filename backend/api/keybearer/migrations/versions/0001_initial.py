"""The first schema: tenants, people, bearer secrets, connections, grants, ledger."""

from pathlib import Path

from keybearer.migrations.script import execute

revision = "0001"
down_revision = None


def upgrade() -> None:
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
