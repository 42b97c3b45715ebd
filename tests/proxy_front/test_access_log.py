"""One JSON object a line, with nothing in it that somebody could use."""

from collections.abc import Iterator

import pytest
from proxy_front.conftest import ROOMY
from proxy_front.front import Front, front
from proxy_front.upstream import Upstream

SECRET = "s3cr3t-of-somebody"
GRANT = "kbg_" + "Q" * 49
FIELDS = {
    "timestamp", "event", "address", "host", "method", "path", "status", "code", "seconds", "received", "sent",
    "backend", "backend_status", "backend_seconds", "request_id",
}  # fmt: skip


@pytest.fixture
def logged(tmp_path, upstream: Upstream) -> Iterator[Front]:
    with front(tmp_path, upstream.port, TRUSTED_PROXIES="127.0.0.1", **ROOMY) as started:
        yield started


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        (f"/api/auth/google/callback?code={SECRET}&state={SECRET}", "/api/auth/google/callback"),
        (f"/sign-in/problem?code={SECRET}", "/sign-in/problem"),
        (f"/api/proxy/gmail/v1/users/{SECRET}/messages?q={SECRET}", "/api/proxy/gmail"),
        (f"/api/proxy/x?access_token={SECRET}", "/api/proxy/x"),
        ('/a"b%22%0a\\', '/a"b%22%0a\\'),
    ],
)
def test_a_line_tells_the_path_and_no_more(logged: Front, target: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {GRANT}", "Cookie": f"a={SECRET}", "Referer": f"https://x/?{SECRET}"}
    answer = logged.ask(target, headers=headers)
    line = logged.lines()[-1]

    assert line.keys() == FIELDS
    assert (line["event"], line["method"], line["path"]) == ("front.answered", "GET", path)
    assert (line["status"], line["request_id"]) == (answer.status, answer.one("X-Request-Id"))
    assert SECRET not in logged.access_log.read_text()
    assert GRANT[:16] not in logged.access_log.read_text()


def test_the_address_is_the_clients(logged: Front) -> None:
    logged.ask("/", headers={"X-Forwarded-For": "203.0.113.7"})

    assert logged.lines()[-1]["address"] == "203.0.113.7"


def test_a_refusal_is_logged_with_its_code(logged: Front) -> None:
    logged.ask("/metrics")
    logged.ask("/api/x", "POST", {"Content-Length": "9999999", "Connection": "close"})

    assert [(line["status"], line["code"]) for line in logged.lines(2)] == [(404, "not_found"), (413, "body_too_large")]


@pytest.mark.parametrize("request_line", ["nonsense", f"/api/{'x' * 9000}", "/%"])
def test_what_cannot_be_read_makes_a_line_too(logged: Front, request_line: str) -> None:
    logged.ask(request_line)

    assert logged.lines()[-1].keys() == FIELDS


def test_failures_bring_no_queries_into_the_error_log(logged: Front, upstream: Upstream) -> None:
    """nginx's own words on a failure hold the whole request line, so it does not say them."""
    upstream.script = lambda _seen, _body, _connection: False
    for target in (f"/api/auth/google/callback?code={SECRET}", f"/assets/none?{SECRET}", f"/%?{SECRET}"):
        assert logged.ask(target).status in {400, 404, 502}
    logged.ask(f"/api/x?{SECRET}", "POST", {"Content-Length": "9999999", "Connection": "close"})

    assert logged.lines(4)[0]["backend_status"] == "502"
    assert SECRET not in logged.error_log.read_text() + logged.access_log.read_text()
