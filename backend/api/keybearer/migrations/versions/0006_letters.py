"""Links and codes that mails carry, what is asked for and answered by mail, and passwords that are void."""

from pathlib import Path

from keybearer.migrations.script import execute

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
