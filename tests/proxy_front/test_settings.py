"""What an operator sets: wrong values end the start with a sentence, and nothing but values gets into the files."""

import json
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from proxy_front.front import SOURCE, TEMPLATES, built_ui, front, nginx, settings
from proxy_front.upstream import Upstream

PAGE = Path(__file__).parents[2] / "docs" / "single-machine.md"


@pytest.fixture(scope="module")
def ui(tmp_path_factory) -> str:
    return str(built_ui(tmp_path_factory.mktemp("ui") / "ui"))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"PUBLIC_URL": ""}, "PUBLIC_URL is not set"),
        ({"PUBLIC_URL": "keybearer.test"}, "PUBLIC_URL must begin with"),
        ({"PUBLIC_URL": "ftp://keybearer.test"}, "PUBLIC_URL must begin with"),
        ({"PUBLIC_URL": "https://keybearer.test/path"}, "PUBLIC_URL must be scheme, host and port"),
        ({"PUBLIC_URL": "https://keybearer.test;}"}, "PUBLIC_URL holds a character"),
        ({"BACKEND": "backend:8080; }"}, "BACKEND holds a character"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8 ingress"}, "TRUSTED_PROXIES holds a character"),
        ({"LIVEKIT_URL": "https://livekit.test"}, "LIVEKIT_URL must begin with wss://"),
        ({"LIVEKIT_URL": "wss://livekit.test *; script-src *"}, "LIVEKIT_URL holds a character"),
        ({"REQUEST_LIMIT": "10r/s"}, "REQUEST_LIMIT must be like"),
        ({"REQUEST_LIMIT": "0/second"}, "REQUEST_LIMIT must be like"),
        ({"SIGN_IN_LIMIT": "five/minute"}, "SIGN_IN_LIMIT must be like"),
        ({"REQUEST_BURST": "-1"}, "REQUEST_BURST must be a whole number"),
        ({"DRAIN_SECONDS": "1s"}, "DRAIN_SECONDS must be a whole number"),
        ({"RESOLVER": "dns;"}, "RESOLVER holds a character"),
        ({"LISTEN": "8080 ssl"}, "LISTEN holds a character"),
        ({"TLS_DIR": "/nowhere"}, "/nowhere/tls.crt is not there"),
        ({"UI_ROOT": "/nowhere"}, "/nowhere/index.html is not there"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_a_sentence(ui: str, given: dict[str, str], named: str) -> None:
    done = settings({"PUBLIC_URL": "http://localhost", "UI_ROOT": ui, **given})

    assert done.returncode == 1
    assert done.stderr.startswith("keybearer: ")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({}, "FRONT_REQUEST_RATE", "10r/s"),
        ({}, "FRONT_REQUEST_BURST", "20"),
        ({}, "FRONT_SIGN_IN_RATE", "5r/m"),
        ({}, "FRONT_SIGN_IN_WAIT", "12"),
        ({"SIGN_IN_LIMIT": "7/minute"}, "FRONT_SIGN_IN_WAIT", "9"),
        ({"SIGN_IN_LIMIT": "2/second"}, "FRONT_SIGN_IN_WAIT", "1"),
        ({}, "FRONT_PUBLIC_PORT", ""),
        ({"PUBLIC_URL": "https://x.test:8443/"}, "FRONT_PUBLIC_PORT", ":8443"),
        ({"PUBLIC_URL": "http://[::1]"}, "FRONT_PUBLIC_PORT", ""),
        ({"PUBLIC_URL": "http://[::1]:8080"}, "FRONT_PUBLIC_PORT", ":8080"),
        ({}, "FRONT_BACKEND", "server backend:8080 max_fails=0;"),
        ({"RESOLVER": "127.0.0.11"}, "FRONT_BACKEND", "server backend:8080 max_fails=0 resolve;"),
        ({"RESOLVER": "127.0.0.11"}, "FRONT_RESOLVER", "resolver 127.0.0.11 valid=5s;"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8,::1"}, "FRONT_TRUSTED", "10.0.0.0/8 1; ::1 1; "),
        ({"LIVEKIT_URL": "wss://lk.test:7880/"}, "FRONT_LIVEKIT", " wss://lk.test:7880 https://lk.test:7880"),
        ({"LIVEKIT_URL": "ws://127.0.0.1:7880"}, "FRONT_LIVEKIT", " ws://127.0.0.1:7880 http://127.0.0.1:7880"),
        ({"LISTEN": "127.0.0.1:9"}, "FRONT_LISTEN", "listen 127.0.0.1:9; "),
        ({}, "FRONT_UI", None),
    ],
)
def test_what_follows_from_a_setting(ui: str, given: dict[str, str], name: str, value: str | None) -> None:
    done = settings({"PUBLIC_URL": "http://localhost", "UI_ROOT": ui, **given})

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[name] == (value if value is not None else ui)


def test_every_value_in_the_templates_is_derived_and_the_other_way_round(ui: str) -> None:
    derived = {
        name
        for name in json.loads(settings({"PUBLIC_URL": "http://localhost", "UI_ROOT": ui}).stdout)
        if name.startswith("FRONT_")
    }
    used = {
        name
        for path in TEMPLATES.iterdir()
        for name in re.findall(r"\$\{([A-Z_]+)\}", path.read_text(encoding="utf-8"))
    }

    assert used == derived


def test_the_page_lists_every_setting_and_its_default() -> None:
    text = (SOURCE / "settings.sh").read_text(encoding="utf-8")
    defaults = {
        name: default
        for name, default in re.findall(r"\$\{([A-Z][A-Z_]+):-([^}]*)\}", text)
        if not name.startswith("FRONT_")
    }
    table = PAGE.read_text(encoding="utf-8").partition("## Settings of the front door")[2].partition("\nWith ")[0]
    told = {
        name: "" if default in {"none", "required"} else default.strip("`")
        for name, default in re.findall(r"(?m)^\| `([A-Z_]+)` \| (\S+) \|", table)
    }

    assert told == defaults


def test_with_a_certificate_it_ends_tls_itself(tmp_path, upstream: Upstream) -> None:
    tls = tmp_path / "tls"
    tls.mkdir()
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", str(tls / "tls.key"), "-out", str(tls / "tls.crt"), "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    given = {"PUBLIC_URL": "https://localhost:8443", "TLS_DIR": str(tls)}
    with front(tmp_path / "front", upstream.port, **given) as started:
        plain = started.ask("/account", headers={"Host": "localhost"})
        context = ssl.create_default_context(cafile=str(tls / "tls.crt"))
        secure = _ask_tls(started.tls_port, context, "/account")

    assert (plain.status, plain.one("Location")) == (308, "https://localhost:8443/account")
    assert b" 200 " in secure.partition(b"\r\n")[0]
    assert secure.count(b"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n") == 1


def test_the_backends_address_is_looked_up_again_where_nginx_can(tmp_path, upstream: Upstream) -> None:
    said = subprocess.run([nginx(), "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)", said)
    assert version
    if (int(version[1]), int(version[2])) < (1, 28):
        pytest.skip("this nginx cannot resolve the names of upstreams again; the image's own can")
    with front(tmp_path, upstream.port, RESOLVER="127.0.0.1") as started:
        assert started.ask("/api/x").status == 200


def _ask_tls(port: int, context: ssl.SSLContext, path: str) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        found = b""
        while piece := connection.recv(65_536):
            found += piece
        return found
