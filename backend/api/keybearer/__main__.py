"""`python -m keybearer` is the command `keybearer`."""

from keybearer.cli.main import app

app(prog_name="keybearer")
