"""An authenticator app: added by whoever proved to be themselves, and each of its codes works once."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from installation import App, Browser
from signin.site import Site, Sql

CONFIRM = "/api/auth/factors/totp/confirm"


@pytest.fixture(autouse=True)
def without_factors(sql: Sql) -> None:
    for table in ("totp_factors", "recovery_codes", "passkeys", "lockouts", "known_sources"):
        sql.all(f"DELETE FROM {table}")


def code_of(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def step_up(browser: Browser, **shown: str):
    return browser.post("/api/auth/reauthenticate", json=shown)


def test_what_the_app_is_told(site: Site, browser: Browser) -> None:
    site.sign_in_fresh(browser)
    begun = browser.post("/api/auth/factors/totp").json()
    address = urlsplit(begun["otpauth_url"])
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/Keybearer:alice%40example.com")
    assert parse_qs(address.query) == {"secret": [begun["secret"]], "issuer": ["Keybearer"]}
    assert len(begun["secret"]) == 32
    assert begun["qr_svg"].startswith("<svg")
    assert "<script" not in begun["qr_svg"]
    assert "style=" not in begun["qr_svg"]
    assert browser.get("/api/auth/factors").json()["items"] == [], "nothing counts before it is confirmed"


def test_an_app_is_added_once_it_shows_a_code(site: Site, browser: Browser, sql: Sql) -> None:
    site.sign_in_fresh(browser)
    app = App.begun(browser)
    wrong = browser.post(CONFIRM, json={"id": app.id, "code": "000000"})
    assert code_of(wrong) == (403, "factor_wrong")
    before = browser.client.cookies["keybearer_session"]
    right = browser.post(CONFIRM, json={"id": app.id, "code": app.code()})
    assert right.status_code == 200
    assert right.json()["session_token"] is None, "it is in the cookie"
    assert browser.client.cookies["keybearer_session"] != before
    assert len(set(right.json()["recovery_codes"])) == 10
    listed = browser.get("/api/auth/factors").json()
    assert [(each["id"], each["kind"]) for each in listed["items"]] == [(app.id, "totp")]
    assert listed["recovery_codes_left"] == 10
    assert code_of(browser.post(CONFIRM, json={"id": app.id, "code": app.code(1)})) == (404, "factor_not_found")
    assert app.secret not in sql.one("SELECT string_agg(t::text, ' ') FROM totp_factors t")
    assert app.secret.encode() not in bytes(sql.one("SELECT seed FROM totp_factors"))


def test_the_old_token_ends_with_a_step_up(site: Site, browser: Browser, other: Browser) -> None:
    app = site.enrol(browser)
    other.client.cookies.update(browser.client.cookies)
    assert step_up(browser, totp=app.code()).status_code == 200
    assert browser.get("/api/auth/me").status_code == 200
    assert other.get("/api/auth/me").status_code == 401


@pytest.mark.parametrize(("ahead", "status"), [(-2, 403), (0, 200), (1, 200), (2, 403)])
def test_a_step_to_either_side_is_taken(site: Site, browser: Browser, ahead: int, status: int) -> None:
    app = site.enrol(browser)
    assert step_up(browser, totp=app.code(ahead)).status_code == status


@pytest.mark.parametrize("code", ["", "1", "1234567", "12345x", "１２３４５６", " 123456", "\x00", "-12345"])
def test_what_is_no_code(site: Site, browser: Browser, code: str) -> None:
    site.enrol(browser)
    assert code_of(step_up(browser, totp=code)) == (403, "factor_wrong")


def test_a_code_works_once(site: Site, browser: Browser) -> None:
    app = site.enrol(browser)
    code = app.code()
    assert step_up(browser, totp=code).status_code == 200
    assert code_of(step_up(browser, totp=code)) == (403, "factor_wrong")
    assert step_up(browser, totp=app.code(1)).status_code == 200
    assert code_of(step_up(browser, totp=code)) == (403, "factor_wrong"), "nor an earlier one"
    metrics = site.running[0].internal("/metrics").text
    assert 'keybearer_totp_attempts_total{outcome="replayed"}' in metrics


def test_the_code_that_confirmed_is_used(site: Site, browser: Browser) -> None:
    site.sign_in_fresh(browser)
    app = App.begun(browser)
    code = app.code()
    assert browser.post(CONFIRM, json={"id": app.id, "code": code}).status_code == 200
    assert code_of(step_up(browser, totp=code)) == (403, "factor_wrong")


def test_of_one_code_at_once_one_is_taken(site: Site, browser: Browser, sql: Sql) -> None:
    """Each in a session of its own, because a step-up ends the token that the others came with."""
    app = site.enrol(browser)
    sessions = [site.browser() for _ in range(4)]
    for each in sessions:
        site.sign_in(each)
    code = app.code()
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(lambda one: step_up(one, totp=code).status_code, sessions))
    assert statuses == [200, 403, 403, 403]


def test_a_lost_device(site: Site, browser: Browser) -> None:
    """Recovery code, new app, new codes; the lost app and the old codes are void."""
    lost = site.enrol(browser)
    site.sign_in(browser)
    assert code_of(browser.post("/api/auth/factors/totp")) == (403, "reauthenticate")
    assert step_up(browser, recovery_code=lost.recovery_codes[3].upper().replace("-", " ")).status_code == 200
    found = App.enrolled(browser)
    assert not set(found.recovery_codes) & set(lost.recovery_codes)
    assert [each["id"] for each in browser.get("/api/auth/factors").json()["items"]] == [found.id]
    assert code_of(step_up(browser, totp=lost.code())) == (403, "factor_wrong")
    assert code_of(step_up(browser, recovery_code=lost.recovery_codes[0])) == (403, "factor_wrong")
    assert step_up(browser, totp=found.code()).status_code == 200
