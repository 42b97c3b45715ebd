"""API keys: made by people, narrowed by scopes, and dead everywhere when they are revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from accounts.world import OTHER, PASSWORD
from installation import Browser
from keybearer.sessions.api_keys.model import SCOPES, allows
from signin.site import Site, Sql


@pytest.fixture
def person(site: Site, browser: Browser) -> Browser:
    site.sign_in(browser)
    return browser


def make(person: Browser, **wish: Any) -> dict[str, Any]:
    answer = person.post("/api/api-keys", json={"name": "Report", **wish})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def ask(site: Site, key: str, method: str, path: str, port: int | None = None, **options: Any) -> httpx2.Response:
    browser = site.browser(port)
    return browser.client.request(method, path, headers={"Authorization": f"Bearer {key}"}, **options)


@pytest.mark.parametrize(
    ("scopes", "method", "path", "allowed"),
    [
        (None, "DELETE", "/api/connections/x", True),
        ([], "GET", "/api/auth/me", True),
        ([], "GET", "/api/auth/check", True),
        ([], "DELETE", "/api/auth/me", False),
        ([], "GET", "/api/connections", False),
        ([], "GET", "/api/auth/providers", False),
        ([], "GET", "/api/providers", True),
        ([], "POST", "/api/new", False),
        (["connections:read"], "GET", "/api/connections", True),
        (["connections:read"], "POST", "/api/connections/x/refresh", False),
        (["connections"], "POST", "/api/connections/x/refresh", True),
        (["connections"], "GET", "/api/ledger", False),
        (["account"], "POST", "/api/auth/token", False),
        (["rooms"], "POST", "/api/auth/token", True),
        (["account:read"], "GET", "/api/auth/sessions", True),
        (["account:read"], "POST", "/api/auth/logout", False),
        (["api-keys:read"], "GET", "/api/api-keys", True),
        (["ledger"], "GET", "/api/ledger/checkpoint", True),
    ],
)
def test_scopes(scopes: list[str] | None, method: str, path: str, allowed: bool) -> None:
    assert allows(scopes, method, path) is allowed
    assert set(scopes or []) <= set(SCOPES)


def test_a_key_is_shown_once_and_used_anywhere(site: Site, person: Browser, sql: Sql) -> None:
    made = make(person)
    assert made["key"].startswith("kbk_")
    assert made["scopes"] is None
    items = person.get("/api/api-keys").json()["items"]
    assert made["id"] in {each["id"] for each in items}
    assert all("key" not in each for each in items)
    for process in site.running:
        assert ask(site, made["key"], "GET", "/api/connections", process.port).status_code == 200
    assert ask(site, made["key"], "GET", "/api/auth/me").json()["session"]["id"] == made["id"]
    stored = sql.all("SELECT api_keys::text AS row FROM api_keys")
    assert all(made["key"] not in each["row"] for each in stored)


def test_a_scope_is_a_limit(site: Site, person: Browser) -> None:
    key = make(person, scopes=["connections:read"])["key"]
    assert ask(site, key, "GET", "/api/connections").status_code == 200
    refused = ask(site, key, "GET", "/api/ledger")
    assert (refused.status_code, refused.json()["code"]) == (403, "api_key_scope")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/api-keys", {"name": "another"}),
        ("POST", "/api/auth/password", {"current": PASSWORD, "new": OTHER}),
        ("DELETE", "/api/auth/me", {"confirm": "alice@example.com"}),
    ],
)
def test_what_no_key_may(site: Site, person: Browser, method: str, path: str, body: dict[str, str]) -> None:
    key = make(person)["key"]
    refused = ask(site, key, method, path, json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "session_needed")


def test_a_revoked_key_is_dead_in_every_server(site: Site, person: Browser, sql: Sql) -> None:
    made = make(person)
    for process in site.running:
        assert ask(site, made["key"], "GET", "/api/auth/me", process.port).status_code == 200
    stranger = site.browser()
    site.sign_in(stranger, "bob@example.com")
    assert stranger.delete(f"/api/api-keys/{made['id']}").json()["code"] == "api_key_not_found"
    assert person.delete(f"/api/api-keys/{made['id']}").status_code == 204
    assert ask(site, made["key"], "GET", "/api/auth/me").status_code == 401
    for _ in range(100):
        if ask(site, made["key"], "GET", "/api/auth/me", site.running[1].port).status_code == 401:
            break
    else:
        raise AssertionError("it lives on in another process")
    assert person.delete(f"/api/api-keys/{made['id']}").status_code == 404
    actions = [row["action"] for row in sql.all("SELECT action FROM ledger WHERE action LIKE 'api_key%' ORDER BY id")]
    assert {"api_key.created", "api_key.revoked"} <= set(actions)


@pytest.mark.parametrize(
    ("expires_at", "status"),
    [(timedelta(days=1), 201), (timedelta(days=366, minutes=-1), 201), (timedelta(days=367), 422),
     (timedelta(seconds=-1), 422)],
)  # fmt: skip
def test_a_key_has_an_end(person: Browser, expires_at: timedelta, status: int) -> None:
    wish = {"name": "x", "expires_at": (datetime.now(UTC) + expires_at).isoformat()}
    assert person.post("/api/api-keys", json=wish).status_code == status


def test_pages_and_the_most(site: Site, sql: Sql) -> None:
    person = site.browser()
    site.sign_in(person, "carol@example.com")
    for number in range(3):
        make(person, name=f"key {number}")
    first = person.get("/api/api-keys", params={"limit": "2"}).json()
    second = person.get("/api/api-keys", params={"limit": "2", "after": first["next"]}).json()
    assert [each["name"] for each in first["items"] + second["items"]] == ["key 2", "key 1", "key 0"]
    assert second["next"] is None
    sql.all(
        "INSERT INTO api_keys (tenant_id, id, user_id, name, expires_at) SELECT tenant_id, gen_random_uuid(), id, 'x', "
        "now() + interval '1 day' FROM users, generate_series(1, 97) WHERE email = 'carol@example.com'"
    )
    full = person.post("/api/api-keys", json={"name": "one more"})
    assert (full.status_code, full.json()["code"]) == (409, "api_keys_full")


def test_last_use_is_written(site: Site, person: Browser, sql: Sql) -> None:
    made = make(person)
    assert ask(site, made["key"], "GET", "/api/auth/me").status_code == 200
    site.running[0].terminate()
    assert sql.one("SELECT last_used_at IS NOT NULL FROM api_keys WHERE id = $1", made["id"]) is True
    site.running[0] = site.start()
