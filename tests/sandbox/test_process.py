"""The command: what it prints, how it ends, and what outlives it."""

import http.client
import json
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from keybearer_sandbox.__main__ import main
from keybearer_sandbox.testing import RunningSandbox, run_sandbox

COMMAND = [sys.executable, "-m", "keybearer_sandbox"]
SCOPE = "user-read-email"


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running, json.loads(running.stdout.readline())
        finally:
            running.kill()


def hanging_request(url: str) -> socket.socket:
    """A request that is never to be answered, surely received."""
    sandbox = RunningSandbox(url)
    sandbox.control("spotify", "timeout", times=5)
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.sendall(b"GET /spotify/v1/me HTTP/1.1\r\nHost: x\r\n\r\n")
    while sandbox.stats()["spotify"]["me"] == 0:
        continue
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_quickly_and_quietly_even_while_requests_hang(number) -> None:
    with process("--smtp-port", "0") as (running, ready):
        assert ready["smtp_port"] > 0
        with hanging_request(ready["url"]):
            began = time.monotonic()
            running.send_signal(number)
            assert running.wait(10) == 0
        assert time.monotonic() - began < 2
        assert running.stderr.read() == ""
        assert running.stdout.read() == ""


def test_without_an_smtp_port_there_is_no_inbox_server() -> None:
    with process() as (_, ready):
        assert ready["smtp_port"] is None


def test_it_ends_when_its_standard_input_does() -> None:
    with process("--until-stdin-closes") as (running, _):
        running.stdin.close()
        assert running.wait(10) == 0


def test_it_dies_with_a_parent_that_is_killed() -> None:
    """The parent gets no chance to clean up; the pipe it held closes all the same."""
    script = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen({[*COMMAND, '--until-stdin-closes']!r}, stdin=subprocess.PIPE)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        url = json.loads(parent.stdout.readline())["url"]
        parent.kill()
        assert parent.stdout.read() == ""  # ends only when the child let go of it too
    with pytest.raises(ConnectionRefusedError):
        RunningSandbox(url).stats()


def test_connections_survive_a_restart_with_a_state_file(tmp_path: Path) -> None:
    state = tmp_path / "folder" / "sandbox.json"
    arguments = ("--state", str(state))
    with run_sandbox(arguments=arguments) as sandbox:
        tokens = sandbox.tokens("spotify", SCOPE)
        google = sandbox.tokens("google", "openid", access_type="offline")
        keys = sandbox.request("GET", "/google/oauth2/v3/certs").json()
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    with run_sandbox(arguments=arguments) as sandbox:
        assert sandbox.api("GET", "/spotify/v1/me", tokens["access_token"]).status == 200
        fresh = sandbox.refresh("spotify", tokens["refresh_token"]).json()
        assert sandbox.api("GET", "/spotify/v1/me", fresh["access_token"]).json()["email"] == "alice@example.com"
        assert sandbox.refresh("google", google["refresh_token"]).status == 200
        assert sandbox.request("GET", "/google/oauth2/v3/certs").json() == keys
        assert "refresh_token" not in sandbox.tokens("google", "openid", access_type="offline")


def test_what_was_given_out_survives_being_killed(tmp_path: Path) -> None:
    state = str(tmp_path / "sandbox.json")
    with process("--state", state) as (running, ready):
        sandbox = RunningSandbox(ready["url"])
        sandbox.control("spotify", "rotate")
        first = sandbox.tokens("spotify", SCOPE)["refresh_token"]
        second = sandbox.refresh("spotify", first).json()["refresh_token"]
        running.kill()
    with process("--state", state) as (_, ready):
        sandbox = RunningSandbox(ready["url"])
        assert sandbox.refresh("spotify", first).json()["error_description"] == "Refresh token revoked"
        assert sandbox.refresh("spotify", second).status == 200


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"keys": 1, "tokens": 2, "consents": 3}', '{"keys": [], "tokens": {}, "consents": []}'],
)
def test_a_broken_state_file_is_named_and_left_alone(tmp_path: Path, capsys, content: str) -> None:
    state = tmp_path / "sandbox.json"
    state.write_text(content)
    assert main(["--state", str(state)]) == 1
    assert str(state) in capsys.readouterr().err
    assert state.read_text() == content


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--port", "x"],
        ["--redirect-uri", "not-a-uri"],
        ["--redirect-uri", "http://x/#fragment"],
        ["--public-url", "sandbox"],
        ["--unknown"],
    ],
)
def test_bad_arguments_are_explained(capsys, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--port", "--smtp-port"])
def test_a_taken_port_is_said_so(capsys, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main([option, str(taken.getsockname()[1])]) == 1
    assert "in use" in capsys.readouterr().err


def test_the_public_url_is_what_documents_say() -> None:
    with process("--public-url", "http://sandbox.test:8082/") as (_, ready):
        assert ready["url"] == "http://sandbox.test:8082"


def test_small_answers_leave_at_once(sandbox: RunningSandbox) -> None:
    """On one kept connection, a server that lets the kernel gather small writes takes 40 ms for each answer."""
    parts = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    began = time.monotonic()
    for _ in range(50):
        connection.request("GET", "/health")
        assert connection.getresponse().read()
    connection.close()
    assert time.monotonic() - began < 50 * 0.03
