"""Local accounts: passwords, invitations, refresh tokens of programs, API keys."""

from pathlib import Path

from keybearer.migrations.script import execute

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
