"""Mail that waits to be sent, and the devices that people were seen on."""

from pathlib import Path

from keybearer.migrations.script import execute

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
