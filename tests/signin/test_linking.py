"""Who somebody is: issuer and subject, never an email. A second provider joins only from a signed-in session."""

import json
from typing import Any

import pytest
from installation import Browser, Installation
from signin.site import Sql, consent, problem, query_of, start


@pytest.fixture(autouse=True)
def nobody(sql: Sql) -> None:
    """Each test begins without people."""
    for table in (
        "bearers",
        "sessions",
        "devices",
        "flows",
        "grants",
        "connections",
        "identities",
        "known_sources",
        "users",
        "ledger",
    ):
        sql.all(f"DELETE FROM {table}")
    sql.all("DELETE FROM data_keys WHERE owner_kind = 'user'")


def link(site: Installation, browser: Browser, provider: str, account: str = "alice@example.com") -> Any:
    return browser.get(consent(site, start(browser, provider, link="1", return_to="/account"), account))


def identities(browser: Browser) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = browser.get("/api/auth/identities").raise_for_status().json()["items"]
    return items


def actions(sql: Sql) -> list[tuple[str, str | None]]:
    return [(row["action"], row["code"]) for row in sql.all("SELECT action, code FROM ledger ORDER BY id")]


def test_the_same_email_elsewhere_is_asked_to_link(
    site: Installation, browser: Browser, other: Browser, sql: Sql
) -> None:
    me = site.sign_in(browser)
    assert problem(other.get(consent(site, start(other, "github")))) == "link_required"
    assert other.get("/api/auth/me").status_code == 401
    assert sql.one("SELECT count(*) FROM users") == 1
    assert sql.one("SELECT count(*) FROM identities") == 1

    assert link(site, browser, "github").headers["location"] == "/account"
    assert [each["provider"] for each in identities(browser)] == ["google", "github"]
    assert site.sign_in(other, provider="github")["id"] == me["id"]
    assert actions(sql) == [
        ("sign_in", None),
        ("sign_in.failed", "link_required"),
        ("identity.linked", None),
        ("sign_in", None),
    ]


def test_a_changed_address_is_still_the_same_person(site: Installation, browser: Browser, sql: Sql) -> None:
    me = site.sign_in(browser)
    sql.all("UPDATE users SET email = 'old@example.com'")
    assert site.sign_in(browser)["id"] == me["id"]


def test_the_same_address_of_another_subject_is_nobody_here(site: Installation, browser: Browser, sql: Sql) -> None:
    """An address that was given to somebody else at the provider must not open its former owner's account."""
    site.sign_in(browser)
    sql.all("UPDATE identities SET subject = 'former-owner'")
    stranger = site.browser()
    assert problem(stranger.get(consent(site, start(stranger)))) == "link_required"
    stranger.close()


def test_an_identity_belongs_to_one_person(site: Installation, browser: Browser, other: Browser, sql: Sql) -> None:
    site.sign_in(browser, "alice@example.com")
    site.sign_in(other, "bob@example.com", "github")
    assert problem(link(site, browser, "github", "bob@example.com")) == "identity_taken"
    assert [each["provider"] for each in identities(browser)] == ["google"]
    assert ("sign_in.failed", "identity_taken") in actions(sql)


def test_linking_again_changes_nothing(site: Installation, browser: Browser) -> None:
    site.sign_in(browser)
    link(site, browser, "github")
    before = identities(browser)
    assert link(site, browser, "github").headers["location"] == "/account"
    assert identities(browser) == before


def test_a_link_belongs_to_the_session_that_asked(site: Installation, browser: Browser, other: Browser) -> None:
    """Otherwise somebody could be made to add a stranger's account as their own way in."""
    site.sign_in(browser)
    callback = consent(site, start(browser, "github", link="1"), "bob@example.com")
    site.sign_in(browser, "carol@example.com")  # the same browser, another session
    answer = browser.get(callback)
    assert problem(answer) == "session_mismatch"
    assert answer.headers["location"].startswith("/account?")
    browser.post("/api/auth/logout")
    assert problem(browser.get(callback)) == "session_mismatch"


def test_unlinking_leaves_a_way_in(site: Installation, browser: Browser, other: Browser, sql: Sql) -> None:
    site.sign_in(browser)
    link(site, browser, "github")
    google, github = identities(browser)
    assert browser.delete(f"/api/auth/identities/{google['id']}").status_code == 204
    last = browser.delete(f"/api/auth/identities/{github['id']}")
    assert (last.status_code, last.json()["code"]) == (409, "last_identity")
    again = browser.delete(f"/api/auth/identities/{google['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "identity_not_found")
    assert ("identity.unlinked", None) in actions(sql)
    assert problem(other.get(consent(site, start(other)))) == "link_required"


def test_nobody_unlinks_for_somebody_else(site: Installation, browser: Browser, other: Browser) -> None:
    site.sign_in(browser)
    link(site, browser, "github")
    site.sign_in(other, "bob@example.com")
    for each in identities(browser):
        assert other.delete(f"/api/auth/identities/{each['id']}").status_code == 404
    assert len(identities(browser)) == 2


def test_a_disabled_person_does_not_come_in(site: Installation, browser: Browser, sql: Sql) -> None:
    site.sign_in(browser)
    browser.post("/api/auth/logout")
    sql.all("UPDATE users SET disabled_at = now()")
    assert problem(browser.get(consent(site, start(browser)))) == "user_disabled"
    assert browser.get("/api/auth/me").status_code == 401


def test_a_connection_belongs_to_the_session_that_asked(site: Installation, browser: Browser, sql: Sql) -> None:
    site.sign_in(browser, "alice@example.com")
    url = browser.post("/api/connections/spotify/start", json={}).json()["authorize_url"]
    callback = consent(site, url, "bob@example.com")
    site.sign_in(browser, "carol@example.com")
    answer = browser.get(callback)
    assert answer.headers["location"] == "/connections?problem=session_mismatch&provider=spotify"
    assert site.connections(browser) == []
    assert ("connection.failed", "session_mismatch") in actions(sql)
    browser.post("/api/auth/logout")
    assert problem(browser.get(callback)) == "session_mismatch"
    assert sql.one("SELECT count(*) FROM connections") == 0


def test_a_connection_to_renew_must_be_ones_own(site: Installation, browser: Browser, other: Browser) -> None:
    site.sign_in(browser)
    mine = site.connect(browser)["id"]
    assert browser.post("/api/connections/spotify/start", json={"connection": mine}).status_code == 200
    site.sign_in(other, "bob@example.com")
    answer = other.post("/api/connections/spotify/start", json={"connection": mine})
    assert (answer.status_code, answer.json()["code"]) == (404, "connection_not_found")


def test_connecting_does_not_sign_in_or_link(site: Installation, browser: Browser, sql: Sql) -> None:
    me = site.sign_in(browser)
    site.connect(browser, "github", "bob@example.com")
    assert browser.get("/api/auth/me").json() == me
    assert [each["provider"] for each in identities(browser)] == ["google"]


@pytest.mark.parametrize("scope", ["a b", "a\x00", "", "\ud800", "é", "a" * 201, '"'])
def test_scopes_are_scopes(site: Installation, browser: Browser, scope: str) -> None:
    site.sign_in(browser)
    headers = {"content-type": "application/json"}
    body = json.dumps({"scopes": [scope]})
    answer = browser.client.post("/api/connections/spotify/start", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


def test_linking_asks_for_no_more_than_signing_in(site: Installation, browser: Browser) -> None:
    site.sign_in(browser)
    assert set(query_of(start(browser, link="1"))["scope"].split()) == {"openid", "email", "profile"}
