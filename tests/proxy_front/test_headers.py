"""Header by header: each once, from whoever knows best, on every kind of answer."""

import pytest
from keybearer.http import headers as own
from proxy_front.front import PAGE, SCRIPT, Front
from proxy_front.upstream import Upstream, plain

HTTPS = {"X-Forwarded-Proto": "https"}
BACKENDS = {name.decode(): value.decode() for name, value in own.security_headers(secure=True)}


@pytest.mark.parametrize(
    "path", ["/", "/connections", "/theme.js", "/assets/index-4f2a.js", "/assets/gone.js", "/metrics"]
)
@pytest.mark.parametrize("name", BACKENDS)
def test_what_nginx_serves_carries_what_the_backend_would_send(secure_front: Front, path: str, name: str) -> None:
    answer = secure_front.ask(path, headers=HTTPS)
    wanted = BACKENDS[name].replace("connect-src 'self'", "connect-src 'self' wss://livekit.test https://livekit.test")

    assert answer.one(name) == wanted


@pytest.mark.parametrize("name", BACKENDS)
def test_the_backends_own_headers_win(secure_front: Front, upstream: Upstream, name: str) -> None:
    upstream.script = plain(f"HTTP/1.1 200 OK\r\n{name}: its-own\r\nContent-Length: 0\r\n\r\n".encode())

    assert secure_front.ask("/api/auth/me", headers=HTTPS).one(name) == "its-own"


@pytest.mark.parametrize("name", BACKENDS)
def test_an_answer_without_them_gets_them(secure_front: Front, upstream: Upstream, name: str) -> None:
    assert secure_front.ask("/api/auth/me", headers=HTTPS).one(name)


@pytest.mark.parametrize("name", BACKENDS.keys() - {"strict-transport-security"})
def test_applications_in_frames_keep_their_own(secure_front: Front, upstream: Upstream, name: str) -> None:
    assert secure_front.ask("/api/apps/player/", headers=HTTPS).all(name) == []
    upstream.script = plain(f"HTTP/1.1 200 OK\r\n{name}: its-own\r\nContent-Length: 0\r\n\r\n".encode())

    assert secure_front.ask("/api/apps/player/", headers=HTTPS).one(name) == "its-own"


def test_scripts_are_never_inline(plain_front: Front) -> None:
    policy = plain_front.ask("/").one("Content-Security-Policy")

    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy
    assert "unsafe" not in policy


def test_no_strict_transport_security_on_plain_http(plain_front: Front) -> None:
    assert plain_front.ask("/").all("Strict-Transport-Security") == []


@pytest.mark.parametrize(
    ("path", "status", "cache"),
    [
        ("/", 200, "no-cache"),
        ("/index.html", 200, "no-cache"),
        ("/connections/some/page", 200, "no-cache"),
        ("/theme.js", 200, "no-cache"),
        ("/assets/index-4f2a.js", 200, "public, max-age=31536000, immutable"),
        ("/assets/gone.js", 404, "no-store"),
        ("/metrics", 404, "no-store"),
    ],
)
def test_what_may_be_kept(plain_front: Front, path: str, status: int, cache: str) -> None:
    answer = plain_front.ask(path)

    assert (answer.status, answer.one("Cache-Control")) == (status, cache)


def test_the_backend_says_itself_what_may_be_kept(plain_front: Front, upstream: Upstream) -> None:
    assert plain_front.ask("/api/x").all("Cache-Control") == []
    upstream.script = plain(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n")

    assert plain_front.ask("/api/x").one("Cache-Control") == "no-store"


def test_pages_are_checked_again_and_not_sent_again(plain_front: Front) -> None:
    first = plain_front.ask("/account")
    again = plain_front.ask("/account", headers={"If-None-Match": first.one("ETag")})

    assert (first.body.decode(), again.status, again.body) == (PAGE, 304, b"")


def test_assets_are_compressed_and_secrets_are_not(plain_front: Front, upstream: Upstream) -> None:
    ask = {"Accept-Encoding": "gzip"}
    upstream.script = plain(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000
    )
    script = plain_front.ask("/assets/index-4f2a.js", headers=ask)

    assert script.one("Content-Encoding") == "gzip"
    assert script.one("Vary") == "Accept-Encoding"
    assert len(script.body) < len(SCRIPT)
    assert plain_front.ask("/api/x", headers=ask).all("Content-Encoding") == []


def test_nothing_tells_versions(plain_front: Front, upstream: Upstream) -> None:
    for path in ("/", "/assets/gone.js", "/api/x"):
        assert plain_front.ask(path).one("Server") == "nginx"
