"""The command line and the health check that compose.yaml gives Valkey, in Valkey's own image where it is here."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from images.opening import Image, opened
from images.test_compose import SERVICES

VALKEY = SERVICES["valkey"]
PASSWORD = {"VALKEY_PASSWORD": "of-the-test_0"}

pytestmark = pytest.mark.images


def shell(text: str) -> str:
    """Compose writes a dollar twice."""
    return text.replace("$$", "$")


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    yield from opened(VALKEY["image"])


@pytest.fixture
def socket_only(image: Image, tmp_path: Path) -> Iterator[Image]:
    """At a socket instead of its usual port, which others on this machine may use."""
    (tmp_path / "tmp").mkdir()
    os.chown(tmp_path / "tmp", 999, 999)
    command = shell(VALKEY["command"][0]).replace("'dir /tmp'", "'dir /tmp' 'port 0' 'unixsocket /tmp/valkey.sock'")
    log, mounts = tmp_path / "log", [f"{tmp_path / 'tmp'}:/tmp"]
    with image.running(*VALKEY["entrypoint"], command, environment=PASSWORD, log=log, mounts=mounts):
        deadline = time.monotonic() + 20
        while not (tmp_path / "tmp" / "valkey.sock").exists():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield image


def test_it_starts_with_its_password_and_without_dangerous_commands(socket_only: Image, tmp_path: Path) -> None:
    def ask(command: str, password: str) -> str:
        line = f"valkey-cli -s /tmp/valkey.sock {command}"
        mounts = [f"{tmp_path / 'tmp'}:/tmp"]
        environment = {"REDISCLI_AUTH": password}
        done = subprocess.run(
            socket_only.line("sh", "-c", line, environment=environment, mounts=mounts),
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return done.stdout + done.stderr

    right = PASSWORD["VALKEY_PASSWORD"]
    assert "PONG" in ask("ping", right)
    assert "OK" in ask("set a 1", right)
    for refused in ("flushall", "flushdb", "config get maxmemory", "shutdown", "acl list"):
        assert "NOPERM" in ask(refused, right)
    assert "PONG" not in ask("ping", "wrong")


def test_the_health_check_fails_where_nothing_runs(image: Image) -> None:
    check = shell(VALKEY["healthcheck"]["test"][1]).replace("valkey-cli", "valkey-cli -p 1")

    assert image.run("sh", "-c", check, **PASSWORD).returncode != 0
