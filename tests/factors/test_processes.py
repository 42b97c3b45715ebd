"""Two server processes over one database: what was used in one is used in the other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from factors.authenticator import Authenticator
from installation import Browser
from signin.site import Site, site_of


@pytest.fixture(scope="module")
def pair(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    with site_of(tmp_path_factory.mktemp("pair"), module_database, keybearer_sandbox_server, processes=2) as site:
        yield site


def each_process(site: Site) -> list[Browser]:
    """A session of its own in each, four in all."""
    browsers = []
    for n in range(4):
        browser = site.browser()
        site.sign_in(browser)
        moved = site.browser(site.running[n % 2].port)
        moved.client.cookies.update(browser.client.cookies)
        browsers.append(moved)
    return browsers


def test_a_code_shown_to_two_processes_at_once_works_in_one(pair: Site, sandbox) -> None:
    app = pair.enrol(pair.browser())
    browsers = each_process(pair)
    code = app.code()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: one.post("/api/auth/reauthenticate", json={"totp": code}), browsers))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]
    recovery = app.recovery_codes[0]
    with ThreadPoolExecutor(4) as pool:
        shown = {"recovery_code": recovery}
        codes = list(pool.map(lambda one: one.post("/api/auth/reauthenticate", json=shown).status_code, browsers))
    assert codes.count(200) <= 1


def test_a_challenge_answered_in_two_processes_at_once_works_in_one(pair: Site, sandbox) -> None:
    browser, authenticator = pair.browser(), Authenticator(pair.url)
    pair.sign_in_fresh(browser, "bob@example.com")
    made = browser.post(
        "/api/auth/passkeys",
        json={"credential": authenticator.create(browser.post("/api/auth/passkeys/options").json())},
    )
    assert made.status_code == 201, made.text
    asking = pair.browser()
    answer = {"credential": authenticator.get(asking.post("/api/auth/login/passkey/options").json())}
    copies = [pair.browser(pair.running[n % 2].port) for n in range(4)]
    for each in copies:
        each.client.cookies.update(asking.client.cookies)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: one.post("/api/auth/login/passkey", json=answer), copies))
    assert sorted(each.status_code for each in answers) == [200, 409, 409, 409]
