"""Through the sandbox's real inbox: addresses confirmed, passwords reset, and what was not them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from accounts.world import OTHER, PASSWORD
from installation import App, Browser, log_lines
from letters.conftest import Mailed, token_of
from signin.site import Sql


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code") if answer.content else None


def test_a_link_confirms_and_signs_in(mailed: Mailed, browser: Browser, other: Browser) -> None:
    mail = mailed.registered(browser)
    (link,) = mail["links"]
    assert link == f"{mailed.site.url}/verify-email#token={token_of(mail)}", "behind the #, where no server sees it"
    assert mailed.sign_in(browser) == (403, "address_unproven")
    answer = other.post("/api/auth/email/verify", json={"token": token_of(mail)})
    assert answer.status_code == 200
    signed_in = answer.json()
    assert signed_in["access_token"]
    assert signed_in["user"]["email"] == mailed.address
    bearer = {"authorization": f"Bearer {signed_in['session_token']}"}
    assert browser.get("/api/auth/me", headers=bearer).status_code == 200
    assert code(browser.post("/api/auth/email/verify", json={"token": token_of(mail)})) == (409, "letter_ended")
    assert mailed.sign_in(browser) == (200, None)
    actions = [each["action"] for each in browser.get("/api/ledger", headers=bearer).json()["items"]]
    assert actions == ["sign_in", "sign_in", "account.verified", "sign_in.failed", "account.registered"]


def test_a_code_does_it_too_and_a_page_of_ours_gets_a_cookie(mailed: Mailed, browser: Browser) -> None:
    mail = mailed.registered(browser)
    browser.client.headers["Keybearer-Session"] = "cookie"
    typed = {"email": f" {mailed.address.upper()}", "code": f"{mail['code'][:3]} {mail['code'][3:]}"}
    answer = browser.post("/api/auth/email/verify", json=typed)
    assert answer.status_code == 200, answer.text
    assert [answer.json()[name] for name in ("access_token", "refresh_token", "session_token")] == [None] * 3
    assert browser.get("/api/auth/me").json()["email"] == mailed.address
    assert code(browser.post("/api/auth/email/verify", json=typed)) == (422, "code_wrong")
    assert code(browser.post("/api/auth/email/verify", json={"token": token_of(mail)})) == (409, "letter_ended")


def test_a_newer_mail_ends_the_older_one(mailed: Mailed, browser: Browser) -> None:
    first = mailed.registered(browser)
    assert browser.post("/api/auth/email/verify/resend", json={"email": mailed.address}).status_code == 202
    second = mailed.wait(2)
    assert code(browser.post("/api/auth/email/verify", json={"token": token_of(first)})) == (409, "letter_ended")
    assert browser.post("/api/auth/email/verify", json={"token": token_of(second)}).status_code == 200


def test_of_two_who_register_with_an_address_its_owner_alone_gets_in(mailed: Mailed, browser: Browser) -> None:
    """A stranger may have been the first, or the second: whichever it was, their password opens nothing."""
    first = mailed.registered(browser, PASSWORD)
    second = mailed.registered(browser, OTHER)
    assert code(browser.post("/api/auth/email/verify", json={"token": token_of(first)})) == (409, "letter_ended")
    assert browser.post("/api/auth/email/verify", json={"token": token_of(second)}).status_code == 200
    assert mailed.sign_in(browser, PASSWORD) == (403, "password_reset_needed")
    assert mailed.sign_in(browser, OTHER) == (401, "credentials_wrong")
    chosen = "a lamp for every quiet otter"
    token = mailed.forgotten(browser)
    assert browser.post("/api/auth/password/reset", json={"token": token, "new": chosen}).status_code == 204
    assert mailed.sign_in(browser, chosen) == (200, None)


def test_a_new_password_by_mail(mailed: Mailed, browser: Browser, other: Browser, sql: Sql) -> None:
    mailed.confirmed(browser)
    for _ in range(5):
        assert mailed.sign_in(other, "wrong")[0] == 401
    assert mailed.sign_in(other) == (429, "account_locked")
    locked = mailed.wait(2)
    assert "passwords" in locked["text"]
    token = mailed.forgotten(other)
    refused = other.post("/api/auth/password/reset", json={"token": token, "new": "password"})
    assert code(refused) == (422, "password_refused")
    done = other.post("/api/auth/password/reset", json={"token": token, "new": OTHER})
    assert (done.status_code, done.headers.get("set-cookie")) == (204, None), "and nobody is signed in"
    assert code(other.post("/api/auth/password/reset", json={"token": token, "new": OTHER})) == (409, "letter_ended")
    assert mailed.wait(4)["subject"] == "Your password of Keybearer was changed"
    assert browser.get("/api/auth/me").status_code == 401, "every session ended"
    assert mailed.sign_in(other) == (401, "credentials_wrong")
    assert mailed.sign_in(other, OTHER) == (200, None), "and the lock of the old one is forgotten"


def test_a_reset_leaves_second_factors(mailed: Mailed, browser: Browser) -> None:
    mailed.confirmed(browser)
    assert browser.post("/api/auth/reauthenticate", json={"password": PASSWORD}).status_code == 200
    app = App.enrolled(browser)
    assert mailed.wait(2)["subject"] == "A second factor was added at Keybearer"
    token = mailed.forgotten(browser)
    assert browser.post("/api/auth/password/reset", json={"token": token, "new": OTHER}).status_code == 204
    mailed.wait(4)
    assert mailed.sign_in(browser, OTHER) == (401, "factor_required")
    body = {"email": mailed.address, "password": OTHER, "recovery_code": app.recovery_codes[0]}
    assert browser.post("/api/auth/login", json=body).status_code == 200
    used = mailed.wait(5)
    assert "Codes that are left: 9" in used["text"]
    listed = browser.get("/api/auth/factors").json()["items"]
    assert browser.delete(f"/api/auth/factors/{listed[0]['id']}").status_code == 204
    assert mailed.wait(6)["subject"] == "A second factor was removed at Keybearer"


def test_this_was_not_me(mailed: Mailed, browser: Browser, other: Browser) -> None:
    mailed.confirmed(browser)
    change = {"current": PASSWORD, "new": OTHER}
    assert browser.post("/api/auth/password", json=change).status_code == 204
    notice = mailed.wait(2)
    assert f"{mailed.site.url}/not-me#token=" in notice["text"]
    answer = other.post("/api/auth/not-me", json={"token": token_of(notice)})
    assert (answer.status_code, answer.json()) == (200, {"password_reset_needed": True})
    assert browser.get("/api/auth/me").status_code == 401
    assert mailed.sign_in(other, OTHER) == (403, "password_reset_needed")
    assert mailed.sign_in(other, PASSWORD) == (401, "credentials_wrong")
    assert code(other.post("/api/auth/not-me", json={"token": token_of(notice)})) == (409, "letter_ended")
    token = mailed.forgotten(other)
    chosen = "a lamp for every quiet otter"
    assert other.post("/api/auth/password/reset", json={"token": token, "new": chosen}).status_code == 204
    assert mailed.sign_in(other, chosen) == (200, None)


@pytest.mark.parametrize("what", ["confirm", "code", "reset", "not_me"])
def test_raced_in_two_processes_one_wins(mailed: Mailed, browser: Browser, other: Browser, what: str) -> None:
    if what in {"confirm", "code"}:
        mail = mailed.registered(browser)
        body = {"token": token_of(mail)} if what == "confirm" else {"email": mailed.address, "code": mail["code"]}
        path = "/api/auth/email/verify"
    else:
        mailed.confirmed(browser)
        if what == "reset":
            path, body = "/api/auth/password/reset", {"token": mailed.forgotten(browser), "new": OTHER}
        else:
            browser.post("/api/auth/password", json={"current": PASSWORD, "new": OTHER})
            path, body = "/api/auth/not-me", {"token": token_of(mailed.wait(2))}
    browsers = [mailed.site.browser(mailed.site.running[n % 2].port) for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = [code(each) for each in pool.map(lambda one: one.post(path, json=body), browsers)]
    won = [answer for answer in answers if answer[0] < 300]
    assert len(won) == 1, answers
    lost = {(422, "code_wrong"), (409, "letter_ended")} if what == "code" else {(409, "letter_ended")}
    assert set(answers) - set(won) <= lost


def test_no_secret_of_a_mail_is_seen_anywhere(mailed: Mailed, browser: Browser, sql: Sql) -> None:
    mail = mailed.registered(browser)
    planted = "kbm_" + "A" * 49
    for path, body in (
        ("/api/auth/email/verify", {"token": planted}),
        ("/api/auth/email/verify", {"email": planted, "code": planted[:20]}),
        ("/api/auth/email/verify/resend", {"email": planted}),
        ("/api/auth/password/forgot", {"email": planted}),
        ("/api/auth/password/reset", {"token": planted, "new": planted}),
        ("/api/auth/not-me", {"token": planted}),
    ):
        answer = browser.post(path, json=body)
        assert planted not in answer.text, path
    assert browser.post("/api/auth/email/verify", json={"token": token_of(mail)}).status_code == 200
    reset = mailed.forgotten(browser)
    secrets = {planted, token_of(mail), mail["code"], reset, mailed.address}
    metrics = "".join(process.internal("/metrics").text for process in mailed.site.running)
    log = mailed.site.log.read_text()
    assert [secret for secret in secrets if secret in metrics + log] == []
    for row in sql.all("SELECT table_name FROM information_schema.tables WHERE table_schema = 'keybearer'"):
        for secret in secrets - {mailed.address, mail["code"]}:
            found = sql.one(
                f'SELECT count(*) FROM "{row["table_name"]}" AS r WHERE position($1 in r::text) > 0', secret
            )
            assert found == 0, (row["table_name"], secret)
    assert not [line for line in log_lines(mailed.site.log) if line["event"] in {"request.crashed", "errand.failed"}]
