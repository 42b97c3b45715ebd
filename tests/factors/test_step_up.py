"""What asks for a factor, what counts as one, and what a stolen session gets."""

from datetime import UTC, datetime

import httpx2
import pytest
from installation import App, Browser
from signin.site import Site, Sql, start

BEGIN = "/api/auth/factors/totp"


@pytest.fixture(autouse=True)
def without_factors(sql: Sql) -> None:
    for table in ("totp_factors", "recovery_codes", "passkeys", "lockouts"):
        sql.all(f"DELETE FROM {table}")


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def prove(browser: Browser, **shown: str) -> httpx2.Response:
    return browser.post("/api/auth/reauthenticate", json=shown)


def test_a_first_factor_asks_for_a_fresh_sign_in(site: Site, browser: Browser) -> None:
    site.sign_in(browser)
    for path in (BEGIN, "/api/auth/passkeys/options"):
        refused = browser.post(path)
        assert code_of(refused) == (403, "reauthenticate")
        assert (refused.json()["next"], refused.json()["factors"]) == ("sign_in", [])
    site.sign_in_fresh(browser)
    assert browser.post(BEGIN).status_code == 200


def test_a_sign_in_is_fresh_if_the_provider_says_so(site: Site, browser: Browser) -> None:
    site.sandbox.control("google", "old_auth_time")
    site.sign_in_fresh(browser)
    assert code_of(browser.post(BEGIN)) == (403, "reauthenticate")


def test_a_provider_without_id_tokens_cannot_say_so(site: Site, browser: Browser) -> None:
    site.through(
        browser, browser.get("/api/auth/github/start", params={"fresh": "true"}).headers["location"], "dora@example.com"
    )
    assert browser.get("/api/auth/me").status_code == 200
    assert code_of(browser.post(BEGIN)) == (403, "reauthenticate")


def test_a_fresh_sign_in_asks_the_provider_for_it(browser: Browser) -> None:
    assert "max_age" not in start(browser)
    asked = start(browser, fresh="true")
    assert "max_age=0" in asked
    assert "auth_time" in asked


def test_a_fresh_sign_in_is_fresh_for_a_quarter_of_an_hour(site: Site, browser: Browser, sql: Sql) -> None:
    site.sign_in_fresh(browser)
    sql.all("UPDATE sessions SET proved_at = now() - interval '15 minutes'")
    assert code_of(browser.post(BEGIN)) == (403, "reauthenticate")


def test_a_fresh_sign_in_is_no_factor_for_whoever_has_one(site: Site, browser: Browser) -> None:
    app = site.enrol(browser)
    site.sign_in_fresh(browser)
    for path in (BEGIN, "/api/auth/passkeys/options", "/api/auth/factors/recovery-codes"):
        refused = browser.post(path)
        assert code_of(refused) == (403, "reauthenticate")
        assert (refused.json()["next"], refused.json()["factors"]) == ("reauthenticate", ["totp", "recovery_code"])
    assert code_of(browser.delete(f"/api/auth/factors/{app.id}")) == (403, "reauthenticate")
    assert prove(browser, totp=app.code()).status_code == 200
    assert browser.delete(f"/api/auth/factors/{app.id}").status_code == 204


def test_a_fresh_sign_in_opens_nothing_but_the_first_factor(site: Site, browser: Browser) -> None:
    site.sign_in_fresh(browser)
    refused = browser.post("/api/auth/factors/recovery-codes")
    assert (code_of(refused), refused.json()["next"]) == ((403, "reauthenticate"), "enrol")


def test_a_proof_lasts_a_quarter_of_an_hour(site: Site, browser: Browser, sql: Sql) -> None:
    app = site.enrol(browser)
    proved = prove(browser, totp=app.code()).json()
    left = datetime.fromisoformat(proved["valid_until"]) - datetime.now(UTC)
    assert 890 <= left.total_seconds() <= 900
    assert browser.post("/api/auth/factors/recovery-codes").status_code == 200
    sql.all("UPDATE sessions SET proved_at = now() - interval '899 s'")
    assert browser.post("/api/auth/factors/recovery-codes").status_code == 200
    sql.all("UPDATE sessions SET proved_at = now() - interval '900 s'")
    assert code_of(browser.post("/api/auth/factors/recovery-codes")) == (403, "reauthenticate")


def test_a_proof_is_one_sessions(site: Site, browser: Browser, other: Browser) -> None:
    site.enrol(browser)
    site.sign_in(other)
    assert browser.post("/api/auth/factors/recovery-codes").status_code == 200
    assert code_of(other.post("/api/auth/factors/recovery-codes")) == (403, "reauthenticate")


def test_a_program_gets_its_new_token_in_the_body(site: Site, browser: Browser) -> None:
    """Where the token came by cookie it goes back by cookie, so that no script gets hold of it."""
    app = site.enrol(browser)
    answer = prove(browser, totp=app.code())
    assert answer.json()["session_token"] is None
    assert "kbs_" not in answer.text
    assert "httponly" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"totp": "123456", "recovery_code": "x"},
        {"totp": None},
        {"totp": 123456},
        {"pin": "1"},
        {"totp": "1" * 65},
        {"password": "x" * 4097},
    ],
)
def test_one_thing_is_shown(site: Site, browser: Browser, shown: dict[str, object]) -> None:
    site.sign_in(browser)
    assert code_of(browser.post("/api/auth/reauthenticate", json=shown)) == (422, "request_invalid")


@pytest.mark.parametrize(
    "shown", [{"totp": "123456"}, {"recovery_code": "0000-0000-0000"}, {"password": "correct horse battery staple"}]
)
def test_whoever_has_nothing_can_show_nothing(site: Site, browser: Browser, shown: dict[str, str]) -> None:
    site.sign_in(browser)
    assert code_of(prove(browser, **shown)) == (403, "factor_wrong")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/auth/factors", None),
        ("DELETE", "/api/auth/factors/0198c1aa-7c1b-7e00-9a00-3d2f1b0c9e8d", None),
        ("POST", "/api/auth/factors/totp", None),
        ("POST", "/api/auth/factors/totp/confirm", {"id": "0198c1aa-7c1b-7e00-9a00-3d2f1b0c9e8d", "code": "1"}),
        ("POST", "/api/auth/factors/recovery-codes", None),
        ("POST", "/api/auth/passkeys/options", None),
        ("POST", "/api/auth/passkeys", {"credential": {}}),
        ("POST", "/api/auth/reauthenticate", {"totp": "123456"}),
        ("POST", "/api/connections/0198c1aa-7c1b-7e00-9a00-3d2f1b0c9e8d/token", None),
    ],
)
def test_strangers_are_sent_away(browser: Browser, method: str, path: str, body: object) -> None:
    answer = browser.client.request(method, path, json=body)
    assert code_of(answer) == (401, "not_signed_in")


def test_other_peoples_factors_are_not_there(site: Site, browser: Browser, other: Browser) -> None:
    app = site.enrol(browser)
    site.enrol(other, "bob@example.com")
    assert code_of(other.delete(f"/api/auth/factors/{app.id}")) == (404, "factor_not_found")
    pending = App.begun(browser)
    answer = other.post("/api/auth/factors/totp/confirm", json={"id": pending.id, "code": pending.code()})
    assert code_of(answer) == (404, "factor_not_found")
    assert [each["id"] for each in browser.get("/api/auth/factors").json()["items"]] == [app.id]


def test_it_is_all_in_the_ledger(site: Site, browser: Browser) -> None:
    app = site.enrol(browser)
    prove(browser, totp="000000")
    prove(browser, recovery_code=app.recovery_codes[0])
    browser.post("/api/auth/factors/recovery-codes")
    browser.delete(f"/api/auth/factors/{app.id}")
    found = [(each["action"], each["outcome"]) for each in site.ledger(browser)[:7]]
    assert found == [
        ("factor.removed", "ok"),
        ("factor.recovery_codes_renewed", "ok"),
        ("session.reauthenticated", "ok"),
        ("factor.recovery_code_used", "ok"),
        ("session.reauthentication_failed", "failed"),
        ("session.reauthenticated", "ok"),
        ("factor.added", "ok"),
    ]
    text = site.log.read_text() + str(site.ledger(browser))
    assert not [secret for secret in (app.secret, *app.recovery_codes) if secret in text]


def test_proxied_calls_refresh_and_lists_ask_for_none(site: Site, browser: Browser) -> None:
    site.sign_in(browser)
    connection = site.connect(browser)
    grant = site.grant(browser)["grant"]
    assert site.call(grant, "spotify/v1/me").status_code == 200
    assert browser.post(f"/api/connections/{connection['id']}/refresh").status_code == 200
    assert browser.get("/api/auth/factors").status_code == 200
    refused = browser.post(f"/api/connections/{connection['id']}/token")
    assert code_of(refused) == (403, "raw_token_off")
