"""docs/keys.md: its commands, in its order, beside a server that goes on serving."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation, Process, installed
from keybearer.cli import postgres
from keybearer.migrations import cluster, runner

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, sandbox) -> Iterator[Installation]:
    """On a server of its own, whose logins nobody else needs."""
    with (
        tempfile.TemporaryDirectory(prefix="kb-") as folder,
        postgres.running(Path(folder), settings={"fsync": "off"}) as server,
    ):
        login = tmp_path / "login"
        login.mkdir()
        (login / "username").write_text(cluster.APP_LOGIN)
        (login / "password").write_text("app")
        asyncio.run(
            cluster.prepare(
                server.superuser_dsn(), database="keybearer", app_password="app", migration_password="migrator"
            )
        )
        owner = server.dsn(cluster.MIGRATION_LOGIN, "migrator", "keybearer")
        asyncio.run(runner.migrate(owner))
        url = server.dsn("x", "x", "keybearer")
        with installed(tmp_path / "site", url, owner, sandbox, DATABASE_CREDENTIALS_DIR=str(login)) as made:
            yield made


def run(site: Installation, process: Process, block: str) -> str:
    """With the environment of the server, as an operator has it who sources its settings."""
    environment = site.environment(internal_port=process.internal_port)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", block],
        cwd=site.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_the_commands_replace_everything_under_a_server_that_serves(site: Installation) -> None:
    process, browser = site.start(), site.browser()
    site.sign_in(browser)
    encryption, signing, login = re.findall(r"(?s)```sh\n(.*?)```", PAGE)

    listed = run(site, process, encryption).splitlines()[-1].split()
    assert listed[:2] == ["k2", "primary"]
    assert "whole" in run(site, process, signing)
    assert "keybearer_app_a is idle" in run(site, process, login)
    loaded = process.internal("/internal/keyring").json()
    assert (loaded["primary"], loaded["signing"]["primary"]) == ("k2", "k2")
    assert loaded["database"] == {"username": "keybearer_app_b"}
    assert browser.get("/api/auth/me").status_code == 200
