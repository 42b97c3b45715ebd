"""What a page gets: a cookie and nothing that script could keep, and only a page of our own."""

from typing import Any

import httpx2
import pytest
from accounts.world import OTHER, PASSWORD
from installation import Browser
from signin.site import Site

COOKIE = {"Keybearer-Session": "cookie"}


def register(browser: Browser, email: str, **headers: str) -> httpx2.Response:
    body = {"email": email, "password": PASSWORD, "full_name": "Dora"}
    return browser.post("/api/auth/register", json=body, headers=headers)


def test_the_cookie_comes_and_the_tokens_do_not(site: Site, browser: Browser) -> None:
    answer = register(browser, "page@example.com", **COOKIE)
    assert answer.status_code == 201
    body: dict[str, Any] = answer.json()
    assert [body[name] for name in ("access_token", "refresh_token", "session_token", "expires_in")] == [None] * 4
    assert body["user"]["name"] == "Dora"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "kbs_" not in answer.text
    assert browser.get("/api/auth/me").json()["email"] == "page@example.com"
    (session,) = browser.get("/api/auth/sessions").json()["items"]
    assert session["signed_in_with"] == "password"


def test_a_new_sign_in_ends_the_session_that_the_browser_had(site: Site, browser: Browser) -> None:
    register(browser, "again@example.com", **COOKIE)
    before = browser.client.cookies["keybearer_session"]
    body = {"email": "again@example.com", "password": PASSWORD}
    assert browser.post("/api/auth/login", json=body, headers=COOKIE).status_code == 200
    assert browser.client.cookies["keybearer_session"] != before
    stale = site.browser()
    stale.client.headers["cookie"] = f"keybearer_session={before}"
    assert stale.get("/api/auth/me").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_another_site_gets_no_cookie(browser: Browser, headers: dict[str, str]) -> None:
    answer = register(browser, "elsewhere@example.com", **COOKIE, **headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert "set-cookie" not in answer.headers


def test_only_a_cookie_can_be_asked_for(browser: Browser) -> None:
    assert register(browser, "x@example.com", **{"Keybearer-Session": "bearer"}).status_code == 422


def test_name_stands_for_full_name(browser: Browser) -> None:
    body = {"email": "named@example.com", "password": PASSWORD, "name": "Named"}
    assert browser.post("/api/auth/register", json=body).json()["user"]["name"] == "Named"


def test_a_wrong_password_is_one_answer(browser: Browser) -> None:
    register(browser, "known@example.com")
    answers = [
        browser.post("/api/auth/login", json={"email": email, "password": OTHER})
        for email in ("known@example.com", "unknown@example.com")
    ]
    assert {answer.status_code for answer in answers} == {401}
    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1]
    names = [{name for name, _ in answer.headers.items()} for answer in answers]
    assert names[0] == names[1]


def test_attempts_are_counted_without_names(site: Site, browser: Browser) -> None:
    browser.post("/api/auth/login", json={"email": "counted@example.com", "password": OTHER})
    metrics = site.running[0].internal("/metrics").text
    assert 'keybearer_auth_attempts_total{method="password",outcome="credentials_wrong"}' in metrics
    assert "counted@example.com" not in metrics
    assert "counted@example.com" not in site.log.read_text()


def test_ones_own_room_is_ones_own(site: Site, browser: Browser) -> None:
    mine = register(browser, "room@example.com", **COOKIE).json()["user"]["id"]
    wish = {"room_name": f"person-{mine}", "participant_name": "Me"}
    assert browser.post("/api/auth/token", json=wish).status_code == 200
    stranger = site.browser()
    register(stranger, "stranger@example.com", **COOKIE)
    answer = stranger.post("/api/auth/token", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (403, "room_of_another")
    stranger.close()
