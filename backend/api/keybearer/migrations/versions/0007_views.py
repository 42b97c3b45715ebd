"""Views for people with psql: who is signed in, what happened, how often, and who is locked out."""

from pathlib import Path

from keybearer.migrations.script import execute

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
