"""`keybearer up` as a person at a terminal meets it: first start, Ctrl-C, kill -9, and the same data afterwards."""

import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest
from installation import NO_CERTIFICATES, Browser, free_port
from keybearer_sandbox.testing import RunningSandbox

START_SECONDS = 60


@dataclass
class Up:
    data: Path
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def sandbox(self) -> RunningSandbox:
        return RunningSandbox(f"http://127.0.0.1:{self.port + 2}")

    def start(self) -> list[psutil.Process]:
        """Every process that it consists of."""
        command = [sys.executable, "-m", "keybearer", "up", "--port", str(self.port), "--data", str(self.data)]
        unwanted = ("KEYBEARER_", "PYTHONDONTWRITEBYTECODE")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        with (self.data.parent / "up.log").open("a") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.data.parent / "up.log").read_text()
            try:
                httpx2.get(
                    f"http://127.0.0.1:{self.port + 1}/readyz", trust_env=False, verify=NO_CERTIFICATES
                ).raise_for_status()
            except httpx2.HTTPError:
                time.sleep(0.05)
                continue
            whole = psutil.Process(self.process.pid)
            return [whole, *whole.children(recursive=True)]
        raise AssertionError((self.data.parent / "up.log").read_text())

    def stop(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=40)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path / "data", free_port(3))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop(signal.SIGINT)


def test_what_was_acknowledged_survives_ctrl_c_and_kill(up: Up) -> None:
    started = up.start()
    browser = Browser(up.url)
    sign_in(up, browser)
    grant = connect_and_grant(up, browser)
    assert call(up, grant).status_code == 200

    assert up.stop(signal.SIGINT) == 0
    assert_gone(started)

    started = up.start()
    assert call(up, grant).status_code == 200
    assert browser.get("/api/auth/me").status_code == 200
    assert browser.post("/api/grants", json={"agent": "second", "providers": ["spotify"]}).status_code == 201
    up.stop(signal.SIGKILL)
    assert_gone(started)

    up.start()
    assert [each["agent"] for each in browser.get("/api/grants").json()["items"]] == ["second", "demo"]
    assert call(up, grant).status_code == 200
    browser.close()

    # Mail is caught without a setting.
    elsewhere = Browser(up.url)
    elsewhere.client.headers["user-agent"] = "Firefox/140.0"
    sign_in(up, elsewhere)
    elsewhere.close()
    deadline = time.monotonic() + 15
    while not (mails := up.sandbox.mail("alice@example.com")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    not_me, account = mails[0]["links"]
    assert not_me.startswith(f"{up.url}/not-me#token=kbm_")
    assert account == f"{up.url}/account"


@pytest.mark.long
def test_the_data_folder_is_private_and_serves_other_commands(up: Up) -> None:
    up.start()
    private = [up.data / name for name in ("env", "keyring/k1", "signing/k1", "providers/spotify.secret")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o600] * len(private)
    assert stat.S_IMODE(up.data.stat().st_mode) == 0o700
    command = f"set -a; . {shlex.quote(str(up.data / 'env'))}; exec {shlex.quote(sys.executable)} -m keybearer "
    verified = subprocess.run(
        ["sh", "-c", command + f"verify --url {up.url}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert " 0 wrong" in verified.stdout
    passwords = [path.read_text().strip() for path in (up.data / "passwords").iterdir()]
    assert not [each for each in passwords if each in verified.stdout]
    ledger = subprocess.run(
        ["sh", "-c", command + "ledger verify"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ledger.returncode == 0, ledger.stdout + ledger.stderr


def test_a_port_in_use_is_said_at_once(up: Up) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", up.port))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "keybearer", "up", "--port", str(up.port), "--data", str(up.data)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"make run PORT={up.port + 10}" in done.stderr
    assert "Traceback" not in done.stderr


def sign_in(up: Up, browser: Browser) -> None:
    through(up, browser, browser.get("/api/auth/google/start").headers["location"])
    assert browser.get("/api/auth/me").json()["email"] == "alice@example.com"


def connect_and_grant(up: Up, browser: Browser) -> str:
    through(up, browser, browser.post("/api/connections/spotify/start", json={}).json()["authorize_url"])
    made = browser.post("/api/grants", json={"agent": "demo", "providers": ["spotify"]})
    assert made.status_code == 201, made.text
    return str(made.json()["grant"])


def through(up: Up, browser: Browser, authorize_url: str) -> None:
    back = browser.get(up.sandbox.authorize(authorize_url))
    assert back.status_code == 303
    assert "problem" not in back.headers["location"]


def call(up: Up, grant: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {grant}"}
    return httpx2.get(
        f"{up.url}/api/proxy/spotify/v1/me", headers=headers, trust_env=False, timeout=30, verify=NO_CERTIFICATES
    )


def assert_gone(processes: list[psutil.Process]) -> None:
    """The database finishes its shutdown by itself when we were killed."""
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert alive == []
