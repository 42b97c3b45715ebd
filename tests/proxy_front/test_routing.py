"""What goes where, and what reaches the backend."""

import re

import pytest
from proxy_front.front import PAGE, Front
from proxy_front.upstream import Seen, Upstream, plain, read_body

REQUEST_ID = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    "target",
    [
        "/api",
        "/api/",
        "/api/auth/me",
        "/api/auth/google/callback?code=1&state=%2F",
        "/api/proxy/x/v1/a%2Fb/%C3%BC?q=%20+",
        "/api/proxy/x//double/./dot/../up",
        "/api/proxy/x/;a=b,c@d:e",
        "/.well-known/jwks.json",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_the_backend_sees_the_address_as_it_was_sent(
    plain_front: Front, upstream: Upstream, target: str, method: str
) -> None:
    upstream.script = plain(b"HTTP/1.1 204 No Content\r\n\r\n")

    assert plain_front.ask(target, method).status == 204
    assert (upstream.last.method, upstream.last.target) == (method, target)
    assert upstream.last.one("Host") == "keybearer.test"


@pytest.mark.parametrize("path", ["/", "/connections", "/sign-in/problem?code=x", "/apifoo", "/a.b", "/internals"])
def test_every_other_address_is_a_page(plain_front: Front, upstream: Upstream, path: str) -> None:
    answer = plain_front.ask(path)

    assert (answer.status, answer.one("Content-Type"), answer.body.decode()) == (200, "text/html", PAGE)
    assert not upstream.seen


@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "/livez", "/readyz", "/internal", "/internal/keyring", "/assets/none.js", "/%6detrics",
        "/api/../metrics", "/.keybearer/check", "/.problem/malformed",
    ],
)  # fmt: skip
def test_internal_and_absent_addresses_are_nowhere(plain_front: Front, upstream: Upstream, path: str) -> None:
    answer = plain_front.ask(path)

    assert (answer.status, answer.one("Content-Type")) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"
    assert not upstream.seen


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/connections", "/theme.js"])
def test_pages_are_only_read(plain_front: Front, upstream: Upstream, method: str, path: str) -> None:
    answer = plain_front.ask(path, method)

    assert (answer.status, answer.one("Allow"), answer.json()["code"]) == (405, "GET, HEAD", "method_not_allowed")
    assert not upstream.seen


@pytest.mark.parametrize("name", ["Keybearer-User", "Keybearer-Tenant", "Keybearer-Roles", "Keybearer-Error"])
@pytest.mark.parametrize("path", ["/api/auth/me", "/api/proxy/x/y", "/api/apps/x", "/api/events", "/.well-known/x"])
def test_nobody_says_who_they_are(plain_front: Front, upstream: Upstream, name: str, path: str) -> None:
    plain_front.ask(path, headers={name: "admin", name.replace("-", "_"): "admin"})

    assert not [key for key, _ in upstream.last.headers if key.lower().replace("_", "-") == name.lower()]


@pytest.mark.parametrize("name", ["Keybearer-Reason", "Keybearer-Connection"])
def test_an_agent_says_why_and_for_which_account(plain_front: Front, upstream: Upstream, name: str) -> None:
    plain_front.ask("/api/proxy/x/y", headers={name: "so it is"})
    assert upstream.last.one(name) == "so it is"

    plain_front.ask("/api/auth/me", headers={name: "so it is"})
    assert upstream.last.all(name) == []


def test_a_strangers_word_on_addresses_counts_for_nothing(plain_front: Front, upstream: Upstream) -> None:
    claimed = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "https",
        "X-Request-Id": "chosen-by-a-stranger",
    }
    plain_front.ask("/api/x", headers=claimed)

    assert upstream.last.one("X-Forwarded-For") == "127.0.0.1"
    assert upstream.last.one("X-Forwarded-Proto") == "http"
    assert REQUEST_ID.fullmatch(upstream.last.one("X-Request-Id"))
    assert [upstream.last.all(name) for name in ("X-Real-IP", "Forwarded", "X-Forwarded-Host")] == [[], [], []]


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::7"),
        ("10.1.2.3", "10.1.2.3"),
        (None, "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_says_who_called(
    secure_front: Front, upstream: Upstream, forwarded: str | None, client: str
) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Request-Id": "ingress-4711"}
    secure_front.ask("/api/x", headers=headers | ({"X-Forwarded-For": forwarded} if forwarded else {}))

    assert upstream.last.one("X-Forwarded-For") == client
    assert upstream.last.one("X-Request-Id") == "ingress-4711"


def test_a_malformed_request_id_is_replaced(secure_front: Front, upstream: Upstream) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Request-Id": "a\tb"}
    answer = secure_front.ask("/api/x", headers=headers)

    assert REQUEST_ID.fullmatch(upstream.last.one("X-Request-Id"))
    assert answer.one("X-Request-Id") == upstream.last.one("X-Request-Id")


@pytest.mark.parametrize("path", ["/", "/connections?x=%20y", "/api/auth/me", "/assets/index-4f2a.js", "/metrics"])
@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-Proto": "http"}])
def test_plain_http_leads_to_https(secure_front: Front, upstream: Upstream, path: str, headers: dict[str, str]) -> None:
    answer = secure_front.ask(path, headers={**headers, "Host": "other.test:80"})

    assert (answer.status, answer.one("Location")) == (308, f"https://other.test{path}")
    assert not upstream.seen


def test_a_providers_answer_cannot_steer_nginx(plain_front: Front, upstream: Upstream) -> None:
    upstream.script = plain(
        b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /theme.js\r\nX-Accel-Limit-Rate: 1\r\nContent-Length: 3\r\n\r\nown"
    )
    answer = plain_front.ask("/api/proxy/x/y")

    assert answer.body == b"own"


def test_redirects_of_the_backend_pass_untouched(plain_front: Front, upstream: Upstream) -> None:
    upstream.script = plain(
        b"HTTP/1.1 303 See Other\r\nLocation: http://reads/x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    answer = plain_front.ask("/api/auth/google/callback")

    assert (answer.status, answer.one("Location")) == (303, "http://reads/x")
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("status", [400, 401, 404, 405, 413, 429, 500, 502, 503, 504])
def test_the_backends_own_problems_pass_untouched(plain_front: Front, upstream: Upstream, status: int) -> None:
    upstream.script = plain(f"HTTP/1.1 {status} X\r\nRetry-After: 9\r\nContent-Length: 4\r\n\r\nown\n".encode())
    answer = plain_front.ask("/api/x")

    assert (answer.status, answer.body, answer.one("Retry-After")) == (status, b"own\n", "9")


def test_websockets_are_passed_on(plain_front: Front, upstream: Upstream) -> None:
    upstream.script = plain(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    plain_front.ask("/api/x", headers={"Upgrade": "WebSocket", "Connection": "Upgrade"})

    assert (upstream.last.one("Upgrade"), upstream.last.one("Connection")) == ("websocket", "upgrade")


@pytest.mark.parametrize("upgrade", ["h2c", "TLS/1.2", "websocket2"])
def test_other_protocols_are_not(plain_front: Front, upstream: Upstream, upgrade: str) -> None:
    plain_front.ask("/api/x", headers={"Upgrade": upgrade, "Connection": "Upgrade"})

    assert upstream.last.all("Upgrade") == []


def test_reads_share_a_connection_and_changes_have_their_own(plain_front: Front, upstream: Upstream) -> None:
    for method in ("GET", "GET", "POST", "POST"):
        plain_front.ask("/api/x", method)
    reads, changes = upstream.seen[:2], upstream.seen[2:]

    assert len({each.connection for each in reads}) == 1
    assert len({each.connection for each in changes}) == 2
    assert [each.all("Connection") for each in upstream.seen] == [[], [], ["close"], ["close"]]


def test_a_read_survives_a_backend_that_hangs_up_and_a_change_is_not_repeated(
    plain_front: Front, upstream: Upstream
) -> None:
    plain_front.ask("/api/x")  # leaves a connection open
    kept = upstream.last.connection

    def hang_up_on_kept(seen: Seen, body, connection) -> bool:
        read_body(seen, body)
        if seen.connection == kept or seen.method == "POST":
            return False
        return plain()(seen, body, connection)

    upstream.seen.clear()
    upstream.script = hang_up_on_kept

    assert plain_front.ask("/api/x").status == 200
    assert len(upstream.seen) == 2
    upstream.seen.clear()
    assert plain_front.ask("/api/x", "POST", body=b"{}").status == 502
    assert len(upstream.seen) == 1
