"""The limits as they come, before a real server."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest
from installation import Browser, Installation, installed
from keybearer.kit import tokens
from signin.site import consent, problem, start

WIDE = "1000000/second"
UNITS = {"TRUSTED_PROXIES": "127.0.0.1", "REQUEST_LIMIT": "10/hour", "SIGN_IN_LIMIT": WIDE}


@pytest.fixture
def make(tmp_path, database, sandbox) -> Iterator[Callable[..., Installation]]:
    with ExitStack() as stack:

        def installation(**extra: str) -> Installation:
            urls = (database.url, database.owner_url)
            site = stack.enter_context(installed(tmp_path / "site", *urls, sandbox, **extra))
            site.start()
            return site

        yield installation


@pytest.fixture
def hourly(make) -> Installation:
    """Nothing comes back while a test runs: 10, and a burst of 20."""
    return make(**UNITS)


def ask(browser: Browser, path: str, count: int, **headers: str) -> Counter[int]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Counter(browser.get(path, headers=named).status_code for _ in range(count))


def check_refusal(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
    assert answer.json()["code"] == "rate_limited"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["x-frame-options"] == "DENY"


def test_each_address_has_its_own(hourly: Installation) -> None:
    browser = hourly.browser()
    for address in ("203.0.113.1", "2001:db8::1"):
        assert ask(browser, "/api/auth/providers", 33, X_Forwarded_For=address) == {200: 30, 429: 3}
    assert ask(browser, "/api/auth/providers", 1, X_Forwarded_For="2001:db8::2") == {429: 1}
    check_refusal(browser.get("/api/auth/providers", headers={"x-forwarded-for": "203.0.113.1"}))


@pytest.mark.parametrize("path", ["/api/auth/me", "/api/auth/check", "/api/health", "/api/events", "/"])
def test_what_is_asked_for_all_the_time_is_not_counted(hourly: Installation, path: str) -> None:
    found = ask(hourly.browser(), path, 40)

    assert 429 not in found


def test_people_are_counted_by_session_and_agents_by_grant(hourly: Installation) -> None:
    alice, bob = hourly.browser(), hourly.browser()
    for browser, account in ((alice, "alice@example.com"), (bob, "bob@example.com")):
        hourly.sign_in(browser, account)
        hourly.connect(browser, account=account)
    grants = [hourly.grant(each)["grant"] for each in (alice, bob)]
    stranger = hourly.browser()
    ask(stranger, "/api/auth/providers", 40)
    assert ask(stranger, "/api/auth/providers", 1) == {429: 1}

    for grant in grants:
        found = [hourly.call(grant, "spotify/v1/me") for _ in range(32)]
        assert Counter(each.status_code for each in found) == {200: 30, 429: 2}
        check_refusal(found[-1])
        assert found[-1].headers["keybearer-error"] == "rate_limited"
    for browser in (alice, bob):
        found = ask(browser, "/api/connections", 32)
        assert found[429] > 0, "some were used while connecting"
        assert found[200] >= 20


def test_programs_of_one_address_are_counted_by_their_access_tokens(make) -> None:
    site = make(**UNITS, REGISTRATION_REVEALS="true")
    programs = site.browser()
    found: list[str] = []
    for name in ("dora", "emil"):
        who = {"email": f"{name}@example.com", "password": "violet kettle under nine bridges", "full_name": name}
        found.append(programs.post("/api/auth/register", json=who).raise_for_status().json()["access_token"])
    for token in found:
        bearer = {"authorization": f"Bearer {token}"}
        assert ask(programs, "/api/auth/me", 1, **bearer) == {200: 1}
        assert ask(programs, "/api/connections", 33, **bearer) == {200: 30, 429: 3}


@pytest.mark.parametrize("made_up", ["grant", "access token"])
def test_tokens_that_are_none_count_for_their_address(hourly: Installation, made_up: str) -> None:
    def guess() -> int:
        token = (
            tokens.new(tokens.GRANT) if made_up == "grant" else f"eyJhbGciOiJFZERTQSJ9.{secrets.token_hex(20)}.xxxxxxxx"
        )
        return hourly.browser().get("/api/connections", headers={"authorization": f"Bearer {token}"}).status_code

    assert Counter(guess() for _ in range(33)) == {401: 30, 429: 3}
    assert ask(hourly.browser(), "/api/auth/providers", 1) == {200: 1}


def test_another_sites_page_can_read_the_refusal(make) -> None:
    site = make(**UNITS, CORS_ORIGINS="https://app.example.com")
    browser = site.browser()
    ask(browser, "/api/auth/providers", 30)
    answer = browser.get("/api/auth/providers", headers={"origin": "https://app.example.com"})

    check_refusal(answer)
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"


def test_five_sign_ins_a_minute_from_an_address(make) -> None:
    site = make(TRUSTED_PROXIES="127.0.0.1", REQUEST_LIMIT=WIDE, SIGN_IN_LIMIT="5/minute")
    browser = site.browser()
    found = [browser.get("/api/auth/google/start") for _ in range(6)]

    assert [each.status_code for each in found] == [302] * 5 + [429]
    check_refusal(found[-1])
    page = browser.get("/api/auth/google/start", headers={"accept": "text/html"})
    assert problem(page) == "rate_limited"
    elsewhere = {"x-forwarded-for": "203.0.113.9"}
    assert browser.get("/api/auth/google/start", headers=elsewhere).status_code == 302

    back = [browser.get("/api/auth/google/callback?state=x&code=y", headers=elsewhere) for _ in range(6)]
    assert [problem(each) for each in back] == ["flow_unknown"] * 5 + ["rate_limited"]


def test_five_sign_ins_a_minute_of_an_account(make) -> None:
    site = make(TRUSTED_PROXIES="127.0.0.1", REQUEST_LIMIT=WIDE, SIGN_IN_LIMIT="2/minute")

    def come(account: str, number: int) -> httpx2.Response:
        browser = site.browser()
        browser.client.headers["x-forwarded-for"] = f"203.0.113.{number}"
        return browser.get(consent(site, start(browser), account))

    assert [come("alice@example.com", n).headers["location"] for n in range(2)] == ["/", "/"]
    assert problem(come("alice@example.com", 3)) == "rate_limited"
    assert come("bob@example.com", 4).headers["location"] == "/"


def test_whoever_connects_accounts_may_come_back_often(make) -> None:
    site = make(REQUEST_LIMIT=WIDE, SIGN_IN_LIMIT="1/minute")
    browser = site.browser()
    site.sign_in(browser)

    for account in ("alice@example.com", "bob@example.com", "carol@example.com"):
        assert site.connect(browser, account=account)["state"] == "active"
