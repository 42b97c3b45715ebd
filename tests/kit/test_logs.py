"""Log lines: one JSON object each, with the request they belong to, and never a secret."""

import subprocess
import sys

import pytest

PROGRAM = """
import logging, structlog
from keybearer.kit import context, logs
logs.configure(style={style!r})
context.request.set(context.RequestContext(request_id="request-1", address=None))
secret = "kbs_" + "A" * 49
log = structlog.get_logger("t")
nested = {{"list": [secret, {{"deep": ("Bearer " + secret,)}}]}}
log.info("thing.happened", text=secret, nested=nested, other=Exception(secret))
logging.getLogger("uvicorn.error").error("foreign %s", "postgresql://u:sbx_x@h/d")
try:
    raise ValueError("sbx_planted " + secret)
except ValueError:
    log.exception("thing.failed")
    logging.getLogger("sqlalchemy").exception("foreign failed")
"""


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_secret_is_written(style: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(style=style)], capture_output=True, text=True, timeout=30, check=True
    )
    assert "AAAA" not in done.stderr
    assert "sbx_" not in done.stderr
    assert done.stderr.count("Traceback") == 2
    assert done.stderr.count("[redacted]") >= 6
    assert done.stderr.count("request-1") == 4
    if style == "json":
        assert len(done.stderr.splitlines()) == 4
