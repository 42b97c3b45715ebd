"""Leaving for good: rows and key go, tokens are revoked, nothing is added meanwhile, and the ledger still verifies."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from installation import Browser
from signin.site import Site, Sql, consent, start

# The second is a view of the first.
KEPT = {"ledger", "recent_auth_events"}


def rows_of(sql: Sql, person: str) -> dict[str, int]:
    """How many rows of each table name the person, in whatever column."""
    columns = sql.all(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'keybearer' AND data_type IN ('uuid', 'text', 'jsonb')"
    )
    counts = " UNION ALL ".join(
        f'SELECT \'{table}\' AS name, count(*) AS rows FROM "{table}" WHERE "{column}"::text LIKE $1'
        for table, column in columns
    )
    found = sql.all(
        f"SELECT name, sum(rows)::int FROM ({counts}) AS each GROUP BY name HAVING sum(rows) > 0", f"%{person}%"
    )
    return dict(map(tuple, found))


@pytest.fixture
def person(site: Site, browser: Browser) -> str:
    return str(site.sign_in(browser, "dora@example.com")["id"])


def leave(browser: Browser, confirm: str = "dora@example.com") -> int:
    return browser.delete("/api/auth/me", json={"confirm": confirm}).status_code


@pytest.mark.parametrize("confirm", ["", "dora", "alice@example.com", "dora@example.com.evil.test", "\x00"])
def test_nothing_is_deleted_by_mistake(site: Site, browser: Browser, person: str, sql: Sql, confirm: str) -> None:
    before = rows_of(sql, person)
    answer = browser.delete("/api/auth/me", json={"confirm": confirm})
    assert (answer.status_code, answer.json()["code"]) == (400, "confirmation_mismatch")
    assert rows_of(sql, person) == before


def test_everything_personal_goes(site: Site, browser: Browser, other: Browser, person: str, sql: Sql) -> None:
    site.sign_in(other, "dora@example.com")
    site.connect(browser, "google", "dora@example.com")
    spotify = site.connect(browser)["id"]
    grant = site.grant(browser)["grant"]
    assert site.call(grant, "spotify/v1/me").status_code == 200
    browser.post("/api/connections/spotify/start", json={})  # a flow that nobody will come back to
    sql.all("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE user_id = $1 AND id <> $2", *ids(browser))
    recorded = sql.one("SELECT count(*) FROM ledger WHERE user_id = $1", person)
    assert set(rows_of(sql, person)) >= {
        "users",
        "identities",
        "sessions",
        "devices",
        "connections",
        "grants",
        "data_keys",
    }

    assert leave(browser, "  Dora@Example.com ") == 204
    assert set(rows_of(sql, person)) == KEPT
    assert sql.one("SELECT count(*) FROM connections WHERE id = $1", spotify) == 0
    assert sql.one("SELECT count(*) FROM data_keys WHERE owner_id = $1", person) == 0
    assert sql.one("SELECT count(*) FROM ledger WHERE user_id = $1", person) > recorded
    assert sql.one("SELECT count(*) FROM ledger WHERE action = 'account.erased' AND user_id = $1", person) == 1
    assert sql.one("SELECT count(*) FROM ledger WHERE detail::text LIKE '%example.com%'") == 0
    assert site.sandbox.stats()["google"]["revoke"] >= 1

    assert browser.get("/api/auth/me").status_code == 401
    assert other.get("/api/auth/me").status_code == 401
    assert site.call(grant, "spotify/v1/me").status_code == 401
    assert site.command("ledger", "verify").returncode == 0


def test_factors_go_too_and_are_asked_for_before(site: Site, browser: Browser, sql: Sql) -> None:
    app = site.enrol(browser, "dora@example.com")
    person = browser.get("/api/auth/me").json()["id"]
    site.sign_in(browser, "dora@example.com")
    browser.post("/api/auth/reauthenticate", json={"totp": "000000"})
    tables = {"totp_factors", "recovery_codes", "known_sources", "lockouts"}
    assert tables <= set(rows_of(sql, person))
    refused = browser.delete("/api/auth/me", json={"confirm": "dora@example.com"})
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthenticate")
    assert browser.post("/api/auth/reauthenticate", json={"totp": app.code()}).status_code == 200
    begun = browser.post("/api/auth/factors/totp").json()  # waits to be confirmed
    browser.post("/api/auth/passkeys/options")
    assert leave(browser) == 204
    assert set(rows_of(sql, person)) == KEPT
    assert begun["secret"] not in site.log.read_text()


def ids(browser: Browser) -> tuple[UUID, UUID]:
    me = browser.get("/api/auth/me").json()
    return UUID(me["id"]), UUID(me["session"]["id"])


def test_whoever_comes_back_is_somebody_new(site: Site, browser: Browser, person: str) -> None:
    assert leave(browser) == 204
    assert site.sign_in(browser, "dora@example.com")["id"] != person
    assert site.connections(browser) == []


def test_leaving_twice_is_leaving_once(site: Site, browser: Browser, person: str, sql: Sql) -> None:
    cookie = {"cookie": f"keybearer_session={browser.client.cookies['keybearer_session']}"}
    clients = [site.browser() for _ in range(4)]
    for each in clients:
        each.client.headers.update(cookie)
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(leave, clients))
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {204, 401}
    assert statuses.count(204) == 1
    assert sql.one("SELECT count(*) FROM ledger WHERE user_id = $1 AND action = 'account.erased'", person) == 1
    for each in clients:
        each.close()


def test_signing_in_while_leaving_makes_no_half_of_a_person(site: Site, browser: Browser, sql: Sql) -> None:
    """Both orders are right: signed in and gone, or gone and somebody new. A mixture or a crash is not."""
    for _ in range(4):
        site.sign_in(browser, "dora@example.com")
        arriving = site.browser()
        callback = consent(site, start(arriving), "dora@example.com")
        connecting = consent(site, browser.post("/api/connections/spotify/start", json={}).json()["authorize_url"])
        leaving = site.browser()
        leaving.client.cookies.update(browser.client.cookies)
        with ThreadPoolExecutor(3) as pool:
            arrived = pool.submit(arriving.get, callback)
            connected = pool.submit(browser.get, connecting)
            left = pool.submit(leave, leaving)
            assert arrived.result().status_code == 303
            assert arrived.result().headers["location"] == "/"
            assert connected.result().status_code == 303
            assert left.result() == 204
        orphans = sql.all(
            "SELECT owner_id FROM data_keys WHERE owner_kind = 'user' AND owner_id NOT IN (SELECT id FROM users)"
        )
        assert orphans == [], "a data key without its person"
        whole = "SELECT count(*) FROM {} WHERE user_id NOT IN (SELECT id FROM users)"
        assert [sql.one(whole.format(table)) for table in ("sessions", "identities", "connections")] == [0, 0, 0]
        if arriving.get("/api/auth/me").status_code == 200:
            leave(arriving)
        arriving.close()
        leaving.close()
    assert '"request.crashed"' not in site.log.read_text()
