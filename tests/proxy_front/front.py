"""The real nginx with the real templates, rendered as the image's entrypoint renders them, on free ports."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installation import free_port

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "frontend-proxy" / "nginx"
TEMPLATES = SOURCE / "templates"
PAGE = "<!doctype html><title>Keybearer</title>"
SCRIPT = "export const answer = 42;\n" * 100
_START_SECONDS = 15


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The header's only value."""
        found = self.all(name)
        assert len(found) == 1, f"{name} is there {len(found)} times: {found}"
        return found[0]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Front:
    folder: Path
    port: int
    health_port: int
    process: "subprocess.Popen[bytes]"
    tls_port: int = 0

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"

    @property
    def error_log(self) -> Path:
        return self.folder / "error.log"

    def ask(
        self,
        target: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        port: int | None = None,
    ) -> Answer:
        """`target` is sent as it is, whatever a well-behaved client would make of it."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            sent = {"Host": "keybearer.test", **(headers or {})}
            if isinstance(body, bytes) and "Transfer-Encoding" not in sent:
                sent.setdefault("Content-Length", str(len(body)))
            for name, value in sent.items():
                connection.putheader(name, value)
            # Refused before the body was whole; the answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def lines(self, count: int = 1) -> list[dict[str, Any]]:
        """The access log, once it has at least `count` lines: nginx writes a line after its answer."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            found = self.access_log.read_text(encoding="utf-8").splitlines()
            if len(found) >= count:
                return [json.loads(line) for line in found]
            time.sleep(0.02)
        raise AssertionError(f"the access log has fewer than {count} lines")

    def workers(self) -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True)
        return [int(pid) for pid in found.stdout.split()]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=10)


def nginx() -> str:
    found = os.environ.get("KEYBEARER_TEST_NGINX") or shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, "These tests need nginx. On Debian: apt-get install nginx-light; or name it in KEYBEARER_TEST_NGINX"
    return found


def settings(environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Runs settings.sh with nothing else in the environment; prints what it leaves there as JSON."""
    return subprocess.run(
        [
            "sh",
            "-euc",
            '. "$0"; exec "$1" -c "import json, os; print(json.dumps(dict(os.environ)))"',
            str(SOURCE / "settings.sh"),
            sys.executable,
        ],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def render(environment: Mapping[str, str], folder: Path) -> None:
    """What the base image's entrypoint does: each ${FRONT_…} of each template is replaced from the environment."""
    done = settings(environment)
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    for template in TEMPLATES.glob("*.template"):
        text = re.sub(r"\$\{(FRONT_[A-Z_]+)\}", lambda name: str(values[name[1]]), template.read_text(encoding="utf-8"))
        (folder / template.stem).write_text(text, encoding="utf-8")


def built_ui(folder: Path) -> Path:
    """As Vite leaves it, with less in it."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "theme.js").write_text("document.title;")
    (folder / "assets" / "index-4f2a.js").write_text(SCRIPT)
    return folder


@contextmanager
def front(folder: Path, backend: int, **given: str) -> Iterator[Front]:
    """nginx in front of the backend at that port of this machine."""
    run = folder / "run"
    run.mkdir(parents=True)
    (folder / "extra").mkdir(exist_ok=True)
    port = free_port(3)
    environment = {
        "PUBLIC_URL": f"http://localhost:{port}",
        "BACKEND": f"127.0.0.1:{backend}",
        "LISTEN": f"127.0.0.1:{port}",
        "HEALTH_LISTEN": f"127.0.0.1:{port + 1}",
        "TLS_LISTEN": f"127.0.0.1:{port + 2}",
        "EXTRA_DIR": str(folder / "extra"),
        "RUN_DIR": str(run),
        "WORKERS": "1",
        "UI_ROOT": given.get("UI_ROOT") or str(built_ui(folder / "ui")),
        **given,
    }
    render(environment, run)
    started = _start(folder, port)
    try:
        yield started
    finally:
        started.stop()


def _start(folder: Path, port: int) -> Front:
    # As root, workers would become somebody who may not read the test's folder.
    more = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
    with (folder / "access.log").open("ab") as access, (folder / "error.log").open("ab") as error:
        process = subprocess.Popen(
            [nginx(), "-e", "stderr", "-c", str(folder / "run" / "nginx.conf"), "-g", more],
            stdin=subprocess.DEVNULL,
            stdout=access,
            stderr=error,
        )
    started = Front(folder, port, port + 1, process, tls_port=port + 2)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if started.ask("/healthz", port=started.health_port).status == 200:
                return started
        except OSError:
            time.sleep(0.02)
    started.stop()
    raise AssertionError(f"nginx did not start:\n{started.error_log.read_text()}")
