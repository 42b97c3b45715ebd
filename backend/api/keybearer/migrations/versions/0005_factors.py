"""Second factors, what locks an account, and when a session last proved who uses it."""

from pathlib import Path

from keybearer.migrations.script import execute

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
