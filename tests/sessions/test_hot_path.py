"""`GET /api/auth/me` from memory answers exactly what the ordinary route does, and leaves to it what is not plain."""

from typing import Any

import httpx2
import pytest
from installation import Browser
from signin.site import Site, Sql

TENANT_B = "00000000-0000-7000-8000-00000000000b"
_EACH_ITS_OWN = {b"date", b"x-request-id"}


def seen(answer: httpx2.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    headers = sorted((name.lower(), value) for name, value in answer.headers.raw)
    return answer.status_code, [each for each in headers if each[0] not in _EACH_ITS_OWN], answer.content


def hits(site: Site) -> float:
    """How often memory answered."""
    lines = site.running[0].internal("/metrics").text.splitlines()
    (line,) = [each for each in lines if each.startswith('keybearer_session_cache_requests_total{result="hit"}')]
    return float(line.rpartition(" ")[2])


def counted(site: Site) -> float:
    lines = site.running[0].internal("/metrics").text.splitlines()
    mark = 'keybearer_http_requests_total{method="GET",route="/api/auth/me",status="200"}'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(mark))


@pytest.fixture
def ordinary(site: Site, browser: Browser) -> Any:
    """The ordinary route's answer: a query is not the plain case."""
    site.sign_in(browser)
    return seen(browser.get("/api/auth/me?ordinary"))


def test_memory_answers_the_same(site: Site, browser: Browser, ordinary: Any) -> None:
    browser.get("/api/auth/me")
    before, requests = hits(site), counted(site)
    answers = [browser.get("/api/auth/me") for _ in range(3)]
    assert [seen(each) for each in answers] == [ordinary] * 3
    assert ordinary[0] == 200
    assert (hits(site) - before, counted(site) - requests) == (3, 3)
    ids = {each.headers["x-request-id"] for each in answers}
    assert len(ids) == 3
    assert all(len(each) == 32 for each in ids)


def test_the_first_answer_is_the_same_too(site: Site, browser: Browser, sql: Sql) -> None:
    site.sign_in(browser)
    sql.all("SELECT pg_notify('keybearer', 'user:' || id) FROM users")
    assert seen(browser.get("/api/auth/me")) == seen(browser.get("/api/auth/me?ordinary"))


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"accept": "text/html"},
        {"x-request-id": "chosen-by-a-client"},
        {"authorization": "Basic eDp5"},
        {"if-none-match": "*"},
        {"range": "bytes=0-1"},
        {"x-forwarded-host": "evil.test"},
    ],
)
def test_other_headers_change_nothing(browser: Browser, ordinary: Any, headers: dict[str, str]) -> None:
    for _ in range(2):
        assert seen(browser.get("/api/auth/me", headers=headers)) == ordinary


def test_the_first_of_two_cookies_counts(site: Site, browser: Browser, ordinary: Any) -> None:
    token = browser.client.cookies["keybearer_session"]
    fresh = site.browser()
    good, bad = f"keybearer_session={token}", "keybearer_session=kbs_other"
    for header, status in ((f"{good}; {bad}", 200), (f"{bad}; {good}", 401), (f"a=b; {good}", 200)):
        for query in ("", "?ordinary"):
            assert fresh.get(f"/api/auth/me{query}", headers={"cookie": header}).status_code == status
    for order, status in (((good, bad), 200), ((bad, good), 401)):
        for query in ("", "?ordinary"):
            two = [("cookie", each) for each in order]
            assert fresh.client.get(f"/api/auth/me{query}", headers=two).status_code == status
    fresh.close()


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_left_to_the_route(browser: Browser, ordinary: Any, method: str) -> None:
    browser.get("/api/auth/me")
    answer = browser.client.request(method, "/api/auth/me")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_huge_headers_are_refused_from_memory_too(browser: Browser, ordinary: Any) -> None:
    browser.get("/api/auth/me")
    for query in ("", "?ordinary"):
        answer = browser.get(f"/api/auth/me{query}", headers={"x-filler": "x" * 33_000})
        assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")


def test_an_unknown_host_is_refused(browser: Browser, ordinary: Any) -> None:
    browser.get("/api/auth/me")
    for query in ("", "?ordinary"):
        answer = browser.get(f"/api/auth/me{query}", headers={"host": "evil.test"})
        assert (answer.status_code, answer.json()["code"]) == (404, "host_unknown")


def test_another_tenants_host_does_not_know_the_session(site: Site, browser: Browser, ordinary: Any, sql: Sql) -> None:
    sql.all(
        "INSERT INTO tenants (id, slug, name, primary_host) VALUES ($1, 'b', 'B', 'b.example.test') "
        "ON CONFLICT DO NOTHING",
        TENANT_B,
    )
    sql.all("INSERT INTO tenant_hosts (host, tenant_id) VALUES ('B.Example.test', $1) ON CONFLICT DO NOTHING", TENANT_B)
    sql.all("SELECT pg_notify('keybearer', 'tenant:' || $1)", TENANT_B)
    there = {"host": "b.example.test"}
    for _ in range(200):
        if browser.get("/api/auth/providers", headers=there).status_code == 200:
            break
    browser.get("/api/auth/me")
    for path in ("/api/auth/me", "/api/auth/me?ordinary", "/api/auth/sessions", "/api/auth/check"):
        cookie = f"keybearer_session={browser.client.cookies['keybearer_session']}"
        answer = browser.get(path, headers={**there, "cookie": cookie})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), path
    assert browser.get("/api/auth/me").status_code == 200

    started = browser.get("/api/auth/google/start", headers=there)
    assert "redirect_uri=https%3A%2F%2Fb.example.test%2Fapi%2Fauth%2Fgoogle%2Fcallback" in started.headers["location"]
    assert sql.one("SELECT tenant_id::text FROM flows ORDER BY created_at DESC LIMIT 1") == TENANT_B
