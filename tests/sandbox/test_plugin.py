"""The pytest plugin, as an agent author has it: installed, and nothing else set up."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("starlette", "uvicorn", "joserfc", "aiosmtpd", "http.client", "keybearer")
AUTHORS_TEST = """
def test_one(sandbox):
    assert sandbox.redirect_uri == "http://localhost:5000/back"
    tokens = sandbox.tokens("spotify", "user-read-email")
    sandbox.control("spotify", "rate_limited")
    assert sandbox.api("GET", "/spotify/v1/me", tokens["access_token"]).status == 429
    sandbox.control("spotify", "server_error", times=None)

def test_two_starts_clean(sandbox):
    assert sandbox.stats()["spotify"]["me"] == 0
    assert "access_token" in sandbox.tokens("spotify")
"""


def test_an_authors_own_suite_runs(tmp_path: Path) -> None:
    (tmp_path / "test_agent.py").write_text(AUTHORS_TEST)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nkeybearer_sandbox_redirect_uris = http://localhost:5000/back\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:asyncio", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout


@pytest.mark.parametrize("module", ["keybearer_sandbox.plugin", "keybearer_sandbox.testing"])
def test_loading_it_brings_nothing_heavy_along(module: str) -> None:
    allowed = "http.client" if module.endswith("testing") else ""
    script = f"import pytest, sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules and m != {allowed!r}])"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"
