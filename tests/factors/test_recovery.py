"""Recovery codes: ten, once each, past a lock, and with a limit of their own."""

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from installation import App, Browser
from signin.site import Site, Sql


@pytest.fixture(autouse=True)
def without_factors(sql: Sql) -> None:
    for table in ("totp_factors", "recovery_codes", "passkeys", "lockouts", "known_sources"):
        sql.all(f"DELETE FROM {table}")


@pytest.fixture
def app(site: Site, browser: Browser) -> App:
    return site.enrol(browser)


def prove(browser: Browser, **shown: str) -> httpx2.Response:
    return browser.post("/api/auth/reauthenticate", json=shown)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def left(browser: Browser) -> int:
    return int(browser.get("/api/auth/factors").json()["recovery_codes_left"])


def test_each_works_once(browser: Browser, app: App) -> None:
    first, second, *_ = app.recovery_codes
    assert prove(browser, recovery_code=first).status_code == 200
    assert code_of(prove(browser, recovery_code=first)) == (403, "factor_wrong")
    assert prove(browser, recovery_code=second).status_code == 200
    assert left(browser) == 8


def test_of_one_code_at_once_one_is_taken(site: Site, app: App) -> None:
    browsers = [site.browser() for _ in range(4)]
    for each in browsers:
        site.sign_in(each)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: prove(one, recovery_code=app.recovery_codes[0]), browsers))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]
    assert left(browsers[0]) == 9


def test_new_ones_void_the_old(browser: Browser, app: App) -> None:
    new = browser.post("/api/auth/factors/recovery-codes").json()["recovery_codes"]
    assert len(set(new) | set(app.recovery_codes)) == 20
    assert code_of(prove(browser, recovery_code=app.recovery_codes[0])) == (403, "factor_wrong")
    assert prove(browser, recovery_code=new[0]).status_code == 200


def test_they_are_for_whoever_has_a_factor(browser: Browser, app: App) -> None:
    assert browser.delete(f"/api/auth/factors/{app.id}").status_code == 204
    assert left(browser) == 0
    assert code_of(browser.post("/api/auth/factors/recovery-codes")) == (409, "factor_missing")


def test_they_are_stored_as_slow_hashes_under_the_persons_key(app: App, sql: Sql) -> None:
    stored = sql.one("SELECT string_agg(t::text, ' ') FROM recovery_codes t")
    assert "argon2" not in stored
    assert not [code for code in app.recovery_codes if code[3:].replace("-", "") in stored]
    assert b"argon2" not in b"".join(bytes(row["hash"]) for row in sql.all("SELECT hash FROM recovery_codes"))


def test_one_gets_through_the_lock_of_codes(site: Site, browser: Browser, app: App, sql: Sql) -> None:
    wrong = [prove(browser, totp="000000") for _ in range(6)]
    assert [code_of(answer) for answer in wrong] == [(403, "factor_wrong")] * 5 + [(429, "account_locked")]
    assert 890 <= int(wrong[-1].headers["retry-after"]) <= 900
    assert code_of(prove(browser, totp=app.code())) == (429, "account_locked"), "the right one neither"
    assert prove(browser, recovery_code=app.recovery_codes[0]).status_code == 200
    assert sql.one("SELECT count(*) FROM ledger WHERE action = 'account.locked'") >= 1
    metrics = site.running[0].internal("/metrics").text
    assert "keybearer_account_lockouts_total" in metrics
    assert 'keybearer_totp_attempts_total{outcome="locked"}' in metrics


def test_they_have_a_limit_of_their_own(browser: Browser, app: App) -> None:
    wrong = [prove(browser, recovery_code="0000-0000-0000") for _ in range(6)]
    assert [code_of(answer) for answer in wrong] == [(403, "factor_wrong")] * 5 + [(429, "account_locked")]
    assert 3590 <= int(wrong[-1].headers["retry-after"]) <= 3600
    assert code_of(prove(browser, recovery_code=app.recovery_codes[0])) == (429, "account_locked")
    assert prove(browser, totp=app.code()).status_code == 200


def test_strangers_guesses_do_not_lock_a_browser_that_was_used_before(site: Site, browser: Browser, app: App) -> None:
    """A thief of the session cookie alone has no device cookie, though it is the same address here."""
    thief = site.browser()
    thief.client.cookies.set("keybearer_session", browser.client.cookies["keybearer_session"])
    assert [prove(thief, totp="000000").status_code for _ in range(6)] == [403] * 5 + [429]
    assert prove(browser, totp=app.code()).status_code == 200
    assert thief.get("/api/auth/me").status_code == 401, "and the step-up has ended the stolen token"


@pytest.mark.parametrize("typed", ["", "x", "\x00", "ö" * 12, "k3m9-x0qa", "k3m9-x0qa-7vtz-0000", "u" * 12])
def test_what_is_no_code(browser: Browser, app: App, typed: str) -> None:
    assert code_of(prove(browser, recovery_code=typed)) == (403, "factor_wrong")
