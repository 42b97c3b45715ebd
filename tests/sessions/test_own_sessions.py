"""People see where they are signed in and end it; sessions end by themselves too."""

from installation import Browser
from signin.site import Site, Sql

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def forget(sql: Sql) -> None:
    """What SQL changed is told as the application tells it."""
    sql.all("SELECT pg_notify('keybearer', 'user:' || id) FROM users")


def eventually(browser: Browser, status: int) -> None:
    for _ in range(200):
        if browser.get("/api/auth/me").status_code == status:
            return
    assert browser.get("/api/auth/me").status_code == status


def test_sessions_are_listed_with_device_place_and_time(site: Site, browser: Browser, other: Browser) -> None:
    browser.client.headers["user-agent"] = FIREFOX
    me = site.sign_in(browser, "bob@example.com")
    site.sign_in(other, "bob@example.com", provider="google")
    items = browser.get("/api/auth/sessions").json()["items"]
    assert len(items) == 2
    (mine,) = [each for each in items if each["current"]]
    assert mine["id"] == me["session"]["id"]
    assert mine["expires_at"] == me["session"]["expires_at"].replace("+00:00", "Z")
    assert (mine["device"], mine["place"], mine["signed_in_with"]) == ("Firefox on Linux", "This computer", "google")
    assert mine["created_at"] <= mine["last_seen_at"]
    assert "address" not in mine


def test_one_session_is_ended_and_only_by_its_owner(site: Site, browser: Browser, other: Browser, sql: Sql) -> None:
    site.sign_in(browser, "carol@example.com")
    stranger = site.browser()
    site.sign_in(stranger, "alice@example.com")
    second = site.sign_in(other, "carol@example.com")["session"]["id"]
    refused = stranger.delete(f"/api/auth/sessions/{second}")
    assert (refused.status_code, refused.json()["code"]) == (404, "session_not_found")
    assert browser.delete(f"/api/auth/sessions/{second}").status_code == 204
    assert other.get("/api/auth/sessions").status_code == 401
    assert browser.get("/api/auth/me").status_code == 200
    assert browser.delete(f"/api/auth/sessions/{second}").status_code == 404
    last = sql.all("SELECT action FROM ledger ORDER BY id DESC LIMIT 1")
    assert last[0]["action"] == "session.ended"
    stranger.close()


def test_ending_ones_own_session_clears_the_cookie(site: Site, browser: Browser) -> None:
    mine = site.sign_in(browser)["session"]["id"]
    answer = browser.delete(f"/api/auth/sessions/{mine}")
    assert "keybearer_session=" in answer.headers["set-cookie"]
    assert browser.get("/api/auth/me").status_code == 401


def test_ending_all_others_offers_the_grants_too(site: Site, browser: Browser, other: Browser) -> None:
    site.sign_in(browser)
    site.sign_in(other)
    site.connect(browser)
    grant = site.grant(browser)["grant"]
    assert browser.delete("/api/auth/sessions").json()["ended"] >= 1
    assert site.call(grant, "spotify/v1/me").status_code == 200, "signing out is not revoking"
    assert browser.delete("/api/auth/sessions?grants=true").json() == {"ended": 0}
    assert site.call(grant, "spotify/v1/me").status_code == 401
    assert browser.get("/api/grants").json()["items"] == []
    assert browser.get("/api/auth/me").status_code == 200


def test_logout_is_recorded_and_needs_a_session(site: Site, browser: Browser, sql: Sql) -> None:
    site.sign_in(browser)
    assert browser.post("/api/auth/logout").status_code == 204
    assert sql.all("SELECT action FROM ledger ORDER BY id DESC LIMIT 1")[0]["action"] == "sign_out"
    assert browser.post("/api/auth/logout").status_code == 401


def test_a_session_that_nobody_uses_ends_after_a_week(site: Site, browser: Browser, sql: Sql) -> None:
    session = site.sign_in(browser)["session"]["id"]
    sql.all("UPDATE sessions SET last_seen_at = now() - interval '7 days 60 s' WHERE id = $1", session)
    forget(sql)
    eventually(browser, 200)  # within the slack that last use may be late
    sql.all("UPDATE sessions SET last_seen_at = now() - interval '7 days 100 s' WHERE id = $1", session)
    forget(sql)
    eventually(browser, 401)


def test_a_cached_session_that_looks_idle_is_read_again(site: Site, browser: Browser, sql: Sql) -> None:
    session = site.sign_in(browser)["session"]["id"]
    sql.all("UPDATE sessions SET last_seen_at = now() - interval '7 days 89 s' WHERE id = $1", session)
    forget(sql)
    eventually(browser, 200)
    sql.all("UPDATE sessions SET last_seen_at = now() WHERE id = $1", session)  # used in another process
    eventually(browser, 200)


def test_an_expired_session_is_refused(site: Site, browser: Browser, sql: Sql) -> None:
    session = site.sign_in(browser)["session"]["id"]
    lifetime = sql.one("SELECT extract(epoch FROM expires_at - created_at)::int FROM sessions WHERE id = $1", session)
    assert lifetime == 30 * 24 * 3600
    sql.all("UPDATE bearers SET expires_at = now() - interval '1 s' WHERE subject_id = $1", session)
    forget(sql)
    eventually(browser, 401)


def test_the_check_for_a_proxy_says_who(site: Site, browser: Browser) -> None:
    me = site.sign_in(browser)
    answer = browser.get("/api/auth/check")
    assert (answer.status_code, answer.content) == (204, b"")
    found = {name: answer.headers[f"keybearer-{name}"] for name in ("user", "tenant", "roles")}
    assert found == {"user": me["id"], "tenant": me["tenant"]["id"], "roles": "member"}
    assert answer.headers["cache-control"] == "no-store"
    browser.post("/api/auth/logout")
    assert browser.get("/api/auth/check").status_code == 401
