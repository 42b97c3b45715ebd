"""`keybearer verify --url … --through …`: from inside a cluster, at a door that has another name there."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from installation import installed
from keybearer.cli import certificates, outside, verify
from keybearer.cli.main import app
from typer.testing import CliRunner


class Door(ThreadingHTTPServer):
    """Notes which host it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: set[str] = set()

    def handle_error(self, *_: object) -> None:
        """A refused handshake is no news here."""


class Answer(BaseHTTPRequestHandler):
    def do(self) -> None:
        assert isinstance(self.server, Door)
        self.server.asked.add(self.headers["host"])
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do
    do_POST = do

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_it_connects_there_and_asks_for_the_public_host(door: Door) -> None:
    url, there = "http://keybearer.example.com:8080", f"127.0.0.1:{door.server_address[1]}"
    findings = {finding.what: finding.problem for finding in await outside.check(url, there)}

    assert findings["answers"] is None
    assert door.asked == {"keybearer.example.com:8080"}


@pytest.mark.parametrize(("name", "good"), [("keybearer.example.com", True), ("elsewhere.example.com", False)])
async def test_a_certificate_must_be_for_the_public_host(
    door: Door, tmp_path: Path, monkeypatch, name: str, good: bool
) -> None:
    made = certificates.issue([name])
    (tmp_path / "both.pem").write_text(made.key + made.certificate)
    (tmp_path / "ca.crt").write_text(made.authority)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "both.pem")
    door.socket = tls.wrap_socket(door.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    there = f"127.0.0.1:{door.server_address[1]}"
    findings = {each.what: each.problem for each in await outside.check("https://keybearer.example.com", there)}

    assert (findings["answers"] is None) is good
    if not good:
        assert "Hostname mismatch" in (findings["answers"] or "")


def test_the_command_passes_it_on(tmp_path: Path, database, sandbox) -> None:
    with installed(tmp_path, database.url, database.owner_url, sandbox) as installation:
        installation.start()
        elsewhere = "http://keybearer.example.com:9999"
        done = installation.command(
            "verify", "--url", elsewhere, "--through", f"localhost:{installation.port}", check=False
        )

    assert "ok    answers" not in done.stdout, "an unknown host is not served"
    assert "wrong answers: /api/health answered 404" in done.stdout


@pytest.mark.parametrize("arguments", [["--through", "a:80"], ["--url", "http://a", "--through", "a:b"]])
def test_what_it_needs_is_said(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["verify", *arguments])

    assert done.exit_code == 2
    assert "--through goes with --url" in done.output


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql://kb-postgres:5432/keybearer?sslmode=verify-full&sslrootcert=/etc/ca.crt",
            "postgresql://kb-postgres:5432/keybearer?sslmode=verify-full&sslrootcert=/etc/ca.crt",
        ),
        ("postgresql:///keybearer?host=/run&password=planted", "postgresql:///keybearer?host=/run"),
        ("postgresql://me:planted/keybearer", "***"),
        ("postgresql://planted:secret", "***"),
        ("planted", "***"),
    ],
)
def test_a_url_without_a_login_is_shown_and_one_that_may_hide_it_is_not(url: str, shown: str) -> None:
    assert verify._masked("DATABASE_URL", url) == shown
