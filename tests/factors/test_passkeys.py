"""Passkeys, with an authenticator in software: added, enough to sign in with, and refused where anything differs."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from factors.authenticator import Authenticator
from installation import Browser
from signin.site import Site, Sql

OPTIONS, REGISTER = "/api/auth/passkeys/options", "/api/auth/passkeys"
SIGN_IN = "/api/auth/login/passkey"
COOKIE = {"Keybearer-Session": "cookie"}


@pytest.fixture(autouse=True)
def without_factors(sql: Sql) -> None:
    for table in ("totp_factors", "recovery_codes", "passkeys", "passkey_challenges", "lockouts"):
        sql.all(f"DELETE FROM {table}")


@pytest.fixture
def authenticator(site: Site) -> Authenticator:
    return Authenticator(site.url)


def register(browser: Browser, authenticator: Authenticator, **more: Any) -> httpx2.Response:
    options = browser.post(OPTIONS)
    assert options.status_code == 200, options.text
    return browser.post(REGISTER, json={"credential": authenticator.create(options.json()), **more})


def sign_in(browser: Browser, authenticator: Authenticator, **options: Any) -> httpx2.Response:
    asked = browser.post(f"{SIGN_IN}/options").raise_for_status().json()
    return browser.post(SIGN_IN, json={"credential": authenticator.get(asked)}, **options)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def added(site: Site, browser: Browser, authenticator: Authenticator) -> dict[str, Any]:
    """Alice has a passkey, and `browser` is hers."""
    site.sign_in_fresh(browser)
    answer = register(browser, authenticator, name="Work laptop")
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize("kind", [{}, {"ed25519": True}, {"counts": False}])
def test_adding_one_and_signing_in_with_it(site: Site, browser: Browser, other: Browser, kind: dict[str, bool]) -> None:
    authenticator = Authenticator(site.url, **kind)
    site.sign_in_fresh(browser)
    added = register(browser, authenticator, name="Work laptop")
    assert added.status_code == 201
    assert added.json()["session_token"] is None
    assert len(added.json()["recovery_codes"]) == 10
    me = browser.get("/api/auth/me").json()
    for _ in range(2):
        answer = sign_in(other, authenticator, headers=COOKIE)
        assert answer.status_code == 200, answer.text
        assert answer.json()["session_token"] is None
        assert answer.json()["user"]["id"] == me["id"]
        assert other.get("/api/auth/me").json()["email"] == "alice@example.com"
    sessions = other.get("/api/auth/sessions").json()["items"]
    assert next(each for each in sessions if each["current"])["signed_in_with"] == "passkey"
    newest = site.ledger(other, action="sign_in", limit="1")[0]
    assert (newest["action"], newest["outcome"], newest["provider"]) == ("sign_in", "ok", "passkey")


def test_a_program_gets_the_token_in_the_body(
    site: Site, other: Browser, authenticator: Authenticator, added: dict[str, Any]
) -> None:
    answer = sign_in(other, authenticator)
    assert answer.json()["session_token"].startswith("kbs_")
    assert "keybearer_session" not in other.client.cookies
    token = answer.json()["session_token"]
    assert other.get("/api/auth/me", headers={"cookie": f"keybearer_session={token}"}).status_code == 200


def test_several_named_and_removable(site: Site, browser: Browser, other: Browser, added: dict[str, Any]) -> None:
    second = Authenticator(site.url)
    browser.client.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    answer = register(browser, second).json()
    assert answer["name"] == "Firefox on Linux"
    assert answer["recovery_codes"] is None, "there are some already"
    listed = browser.get("/api/auth/factors").json()
    assert [each["name"] for each in listed["items"]] == ["Work laptop", "Firefox on Linux"]
    assert browser.delete(f"/api/auth/factors/{added['id']}").status_code == 204
    assert sign_in(other, second).status_code == 200
    assert browser.get("/api/auth/factors").json()["recovery_codes_left"] == 10
    assert browser.delete(f"/api/auth/factors/{answer['id']}").status_code == 204
    left = {"items": [], "next": None, "recovery_codes_left": 0, "has_password": False}
    assert browser.get("/api/auth/factors").json() == left
    assert code_of(sign_in(other, second)) == (401, "passkey_refused")
    assert code_of(browser.delete(f"/api/auth/factors/{answer['id']}")) == (404, "factor_not_found")


def test_the_browser_is_told_which_ones_there_are(browser: Browser, added: dict[str, Any]) -> None:
    options = browser.post(OPTIONS).json()["publicKey"]
    assert len(options["excludeCredentials"]) == 1
    assert options["rp"]["id"] == "localhost"
    assert options["user"]["name"] == "alice@example.com"


def test_signing_in_names_nobody(site: Site, other: Browser, added: dict[str, Any]) -> None:
    options = other.post(f"{SIGN_IN}/options").json()["publicKey"]
    assert options["allowCredentials"] == []
    assert options["userVerification"] == "required"
    assert options["rpId"] == "localhost"


def wrong_origin(one: Authenticator) -> None:
    one.origin = "http://localhost.evil.test"


def other_port(one: Authenticator) -> None:
    one.origin = "http://localhost:1"


def unverified(one: Authenticator) -> None:
    one.verifies = False


def other_party(one: Authenticator) -> None:
    one.rp_id = "evil.test"
    for passkey in one.kept:
        passkey.rp_id = "evil.test"


def somebody_else(one: Authenticator) -> None:
    one.kept[-1].user_handle = bytes(16)


def copied(one: Authenticator) -> None:
    """The counter of a copy that was used less often."""
    one.kept[-1].count = -1 + one.kept[-1].count


@pytest.mark.parametrize("spoil", [wrong_origin, other_port, unverified, other_party])
def test_what_is_not_added(
    site: Site, browser: Browser, authenticator: Authenticator, spoil: Callable[[Authenticator], None]
) -> None:
    site.sign_in_fresh(browser)
    spoil(authenticator)
    assert code_of(register(browser, authenticator)) == (422, "passkey_invalid")
    assert browser.get("/api/auth/factors").json()["items"] == []


@pytest.mark.parametrize("spoil", [wrong_origin, other_port, unverified, other_party, somebody_else, copied])
def test_what_signs_nobody_in(
    site: Site,
    browser: Browser,
    other: Browser,
    authenticator: Authenticator,
    added: dict[str, Any],
    spoil: Callable[[Authenticator], None],
) -> None:
    assert sign_in(other, authenticator).status_code == 200
    spoil(authenticator)
    assert code_of(sign_in(other, authenticator, headers=COOKIE)) == (401, "passkey_refused")
    assert other.get("/api/auth/me").status_code == 401
    newest = site.ledger(browser, action="sign_in")
    assert all(each["outcome"] == "ok" for each in newest), "a failure that names nobody is in nobody's list"


def test_a_challenge_works_once_and_in_its_browser(
    site: Site, browser: Browser, other: Browser, authenticator: Authenticator, added: dict[str, Any]
) -> None:
    asked = other.post(f"{SIGN_IN}/options").json()
    answer = {"credential": authenticator.get(asked)}
    stranger = site.browser()
    assert code_of(stranger.post(SIGN_IN, json=answer)) == (409, "challenge_ended")
    stranger.post(f"{SIGN_IN}/options")
    assert code_of(stranger.post(SIGN_IN, json=answer)) == (409, "challenge_ended")
    assert other.post(SIGN_IN, json=answer).status_code == 200, "a stranger's try does not use it up"
    assert code_of(other.post(SIGN_IN, json=answer)) == (409, "challenge_ended")


def test_a_refused_answer_uses_the_challenge_up(other: Browser, authenticator: Authenticator, added: object) -> None:
    asked = other.post(f"{SIGN_IN}/options").json()
    right = authenticator.get(asked)
    wrong = {**right, "response": {**right["response"], "signature": "AAAA"}}
    assert code_of(other.post(SIGN_IN, json={"credential": wrong})) == (401, "passkey_refused")
    assert code_of(other.post(SIGN_IN, json={"credential": right})) == (409, "challenge_ended")


def test_a_challenge_lasts_five_minutes(
    other: Browser, authenticator: Authenticator, added: dict[str, Any], sql: Sql
) -> None:
    asked = other.post(f"{SIGN_IN}/options").json()
    left = sql.one("SELECT extract(epoch FROM max(expires_at) - now())::int FROM passkey_challenges")
    assert 290 <= left <= 300
    sql.all("UPDATE passkey_challenges SET expires_at = now() - interval '1 s'")
    assert code_of(other.post(SIGN_IN, json={"credential": authenticator.get(asked)})) == (409, "challenge_ended")


def test_a_challenge_is_for_what_it_was_made_for(
    site: Site, browser: Browser, authenticator: Authenticator, added: dict[str, Any]
) -> None:
    to_add = browser.post(OPTIONS).json()
    assert code_of(browser.post(SIGN_IN, json={"credential": authenticator.get(to_add)})) == (409, "challenge_ended")
    to_sign_in = browser.post(f"{SIGN_IN}/options").json()["publicKey"]["challenge"]
    to_add["publicKey"] |= {"challenge": to_sign_in, "excludeCredentials": []}
    answer = browser.post(REGISTER, json={"credential": authenticator.create(to_add)})
    assert code_of(answer) == (409, "challenge_ended")


def test_a_challenge_to_add_is_for_its_person(site: Site, browser: Browser, authenticator: Authenticator) -> None:
    site.sign_in_fresh(browser)
    asked = browser.post(OPTIONS).json()
    site.sign_in_fresh(browser, "bob@example.com")
    answer = browser.post(REGISTER, json={"credential": authenticator.create(asked)})
    assert code_of(answer) == (409, "challenge_ended")


def test_one_authenticators_passkey_belongs_to_one_person(
    site: Site, browser: Browser, other: Browser, authenticator: Authenticator, added: dict[str, Any]
) -> None:
    site.sign_in_fresh(other, "bob@example.com")
    asked = other.post(OPTIONS).json()
    forged = Authenticator(site.url, credential_id=authenticator.kept[-1].id)
    assert code_of(other.post(REGISTER, json={"credential": forged.create(asked)})) == (409, "passkey_taken")


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"id": 1},
        {"id": "x", "rawId": "x", "type": "public-key", "response": None},
        {"id": "x", "rawId": "x", "type": "public-key", "response": {"clientDataJSON": "e30"}},
        {"id": "x", "rawId": "x", "type": "public-key", "response": {"clientDataJSON": "!!!"}},
        {"id": "x", "rawId": "x", "type": "public-key", "response": {"clientDataJSON": "bnVsbA"}},
        {"id": "x", "rawId": "x", "type": "public-key", "response": {"clientDataJSON": "W1tbW1tbW1tb"}},
        {"id": "\u202e", "rawId": "\x00", "type": [], "response": {"clientDataJSON": {}}},
    ],
)
def test_nonsense_is_refused(site: Site, browser: Browser, credential: dict[str, Any]) -> None:
    site.sign_in_fresh(browser)
    assert code_of(browser.post(REGISTER, json={"credential": credential})) == (422, "passkey_invalid")
    assert code_of(browser.post(SIGN_IN, json={"credential": credential})) == (401, "passkey_refused")
    assert browser.get("/api/auth/me").status_code == 200
    assert '"request.crashed"' not in site.log.read_text()


def test_a_disabled_person_is_not_let_in(
    site: Site, other: Browser, authenticator: Authenticator, added: dict[str, Any], sql: Sql
) -> None:
    sql.all("UPDATE users SET disabled_at = now()")
    try:
        assert code_of(sign_in(other, authenticator)) == (403, "user_disabled")
    finally:
        sql.all("UPDATE users SET disabled_at = NULL")


def test_a_passkey_is_a_step_up(
    site: Site, browser: Browser, authenticator: Authenticator, added: dict[str, Any]
) -> None:
    me = site.sign_in(browser)
    refused = browser.post("/api/auth/factors/recovery-codes")
    assert code_of(refused) == (403, "reauthenticate")
    assert refused.json()["factors"] == ["passkey", "recovery_code"]
    asked = browser.post(f"{SIGN_IN}/options").json()
    proved = browser.post("/api/auth/reauthenticate", json={"passkey": authenticator.get(asked)})
    assert proved.status_code == 200, proved.text
    assert browser.get("/api/auth/me").json()["session"]["id"] == me["session"]["id"], "it goes on"
    assert browser.post("/api/auth/factors/recovery-codes").status_code == 200


def test_somebody_elses_passkey_is_no_step_up(
    site: Site, other: Browser, authenticator: Authenticator, added: dict[str, Any]
) -> None:
    site.sign_in(other, "bob@example.com")
    asked = other.post(f"{SIGN_IN}/options").json()
    answer = other.post("/api/auth/reauthenticate", json={"passkey": authenticator.get(asked)})
    assert code_of(answer) == (403, "factor_wrong")
    assert other.get("/api/auth/me").json()["email"] == "bob@example.com"
