"""Whatever comes back from a provider: each failure has its code, page and ledger entry, and changes nothing."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from installation import Browser, Installation
from signin.site import Sql, consent, problem, query_of, start


def entries(sql: Sql) -> list[tuple[str, str, str | None]]:
    rows = sql.all("SELECT action, outcome, code FROM ledger ORDER BY id")
    return [(row["action"], row["outcome"], row["code"]) for row in rows]


@pytest.fixture(autouse=True)
def empty_ledger(sql: Sql) -> None:
    sql.all("DELETE FROM ledger")


def users(sql: Sql) -> int:
    return int(sql.one("SELECT count(*) FROM users"))


def signed_in(browser: Browser) -> bool:
    return browser.get("/api/auth/me").status_code == 200


def test_a_state_works_once(site: Installation, browser: Browser, sql: Sql) -> None:
    callback = consent(site, start(browser))
    assert browser.get(callback).headers["location"] == "/"
    me = browser.get("/api/auth/me").json()
    assert problem(browser.get(callback)) == "flow_replayed"
    assert browser.get("/api/auth/me").json() == me, "a replay changes nothing for who is signed in"
    assert entries(sql) == [("sign_in", "ok", None), ("sign_in.failed", "failed", "flow_replayed")]


def test_of_two_callbacks_at_once_one_wins(site: Installation, browser: Browser, sql: Sql) -> None:
    callback = consent(site, start(browser))
    cookie = {"cookie": f"keybearer_flow={browser.client.cookies['keybearer_flow']}"}
    strangers = [site.browser() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: one.get(callback, headers=cookie), strangers))
    assert all(answer.status_code == 303 for answer in answers)
    assert sorted(answer.headers["location"] == "/" for answer in answers) == [False, False, False, True]
    assert {problem(answer) for answer in answers if answer.headers["location"] != "/"} == {"flow_replayed"}
    for each in strangers:
        each.close()


def test_first_sign_ins_at_once_make_one_person(site: Installation, sql: Sql) -> None:
    browsers = [site.browser() for _ in range(4)]
    before = users(sql)
    callbacks = [consent(site, start(one), "dora@example.com") for one in browsers]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda pair: pair[0].get(pair[1]), zip(browsers, callbacks, strict=True)))
    assert [answer.headers["location"] for answer in answers] == ["/"] * 4
    assert users(sql) == before + 1
    assert len({one.get("/api/auth/me").json()["id"] for one in browsers}) == 1
    for each in browsers:
        each.close()


def test_a_state_lasts_ten_minutes(site: Installation, browser: Browser, sql: Sql) -> None:
    callback = consent(site, start(browser))
    remaining = sql.one("SELECT extract(epoch FROM expires_at - created_at)::int FROM flows ORDER BY created_at DESC")
    assert remaining == 600
    sql.all("UPDATE flows SET expires_at = now() - interval '1 second' WHERE used_at IS NULL")
    assert problem(browser.get(callback)) == "flow_expired"
    assert not signed_in(browser)
    assert entries(sql) == [("sign_in.failed", "failed", "flow_expired")]
    assert site.sandbox.stats()["google"].get("code", 0) == 0, "the code was not even tried"


def test_a_state_is_bound_to_its_browser(site: Installation, browser: Browser, other: Browser, sql: Sql) -> None:
    callback = consent(site, start(browser))
    assert problem(other.get(callback)) == "flow_unknown"
    start(other)  # has a flow cookie of its own now
    assert problem(other.get(callback)) == "flow_unknown"
    assert not signed_in(other)
    assert [code for _, _, code in entries(sql)] == ["flow_unknown", "flow_unknown"]
    assert browser.get(callback).headers["location"] == "/", "a stranger's try must not use the flow up"


@pytest.mark.parametrize("state", ["", "x", "\x00", "a" * 4000, "\N{SNOWMAN}", "' OR 1=1 --"])
def test_a_wrong_state_is_refused(site: Installation, browser: Browser, sql: Sql, state: str) -> None:
    start(browser)
    answer = browser.get("/api/auth/google/callback", params={"state": state, "code": "sbx_code"})
    assert problem(answer) == "flow_unknown"
    assert entries(sql) == [("sign_in.failed", "failed", "flow_unknown")]


@pytest.mark.parametrize("query", ["", "code=x", "state=%ff%fe&code=%00", "error=access_denied", "state=a&state=b"])
def test_a_callback_of_nobody_leads_to_a_page(site: Installation, browser: Browser, query: str) -> None:
    answer = browser.get(f"/api/auth/google/callback?{query}")
    assert problem(answer) == "flow_unknown"
    assert urlsplit(answer.headers["location"]).path == "/sign-in/problem"


def test_a_state_is_for_the_provider_it_was_made_for(site: Installation, browser: Browser) -> None:
    google = consent(site, start(browser))
    assert problem(browser.get(google.replace("/google/", "/github/"))) == "flow_unknown"


def test_denied_consent(site: Installation, browser: Browser, sql: Sql) -> None:
    answer = browser.get(consent(site, start(browser, return_to="/agents?x=1"), deny=True))
    assert problem(answer) == "consent_denied"
    location = urlsplit(answer.headers["location"])
    assert (location.path, query_of(answer.headers["location"])["return_to"]) == ("/sign-in/problem", "/agents?x=1")
    assert not signed_in(browser)
    assert entries(sql) == [("sign_in.failed", "denied", "consent_denied")]


@pytest.mark.parametrize("error", ["server_error", "<script>alert(1)</script>", "sbx_planted", "a" * 3000])
def test_a_providers_error_is_never_shown_or_logged(site: Installation, browser: Browser, sql: Sql, error: str) -> None:
    state = query_of(start(browser))["state"]
    answer = browser.get("/api/auth/google/callback", params={"state": state, "error": error})
    assert problem(answer) == "provider_error"
    assert error not in answer.headers["location"]
    assert error not in site.log.read_text()
    assert entries(sql) == [("sign_in.failed", "failed", "provider_error")]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("bad_signature", "id_token_invalid"),
        ("wrong_nonce", "id_token_invalid"),
        ("wrong_issuer", "id_token_invalid"),
        ("server_error", "provider_unavailable"),
        ("rate_limited", "provider_unavailable"),
        ("invalid_client", "provider_error"),
    ],
)
def test_faults_of_the_provider(site: Installation, browser: Browser, sql: Sql, fault: str, code: str) -> None:
    before = users(sql)
    callback = consent(site, start(browser), "carol@example.com")
    operation = {"operation": "code"} if fault in {"server_error", "rate_limited"} else {}
    site.sandbox.control("google", fault, **operation)
    assert problem(browser.get(callback)) == code
    assert not signed_in(browser)
    assert users(sql) == before
    assert entries(sql) == [("sign_in.failed", "failed", code)]
    site.sandbox.reset()
    assert problem(browser.get(callback)) == "flow_replayed", "a failed exchange has used the code and the state"


def test_a_code_that_the_provider_does_not_know(site: Installation, browser: Browser) -> None:
    state = query_of(start(browser))["state"]
    answer = browser.get("/api/auth/google/callback", params={"state": state, "code": f"sbx_{uuid4().hex}"})
    assert problem(answer) == "provider_error"


def test_sign_in_goes_on_while_discovery_and_keys_are_away(site: Installation, browser: Browser) -> None:
    site.sign_in(browser)  # both are cached from here on
    site.sandbox.control("google", "discovery_unavailable")
    stranger = site.browser()
    site.sign_in(stranger, "bob@example.com")
    stranger.close()


def test_pkce_is_s256_and_the_verifier_is_ours(site: Installation, browser: Browser, other: Browser, sql: Sql) -> None:
    """A code that another flow's challenge was made for is refused by the provider, whoever brings it."""
    mine, foreign = start(browser), start(other)
    asked = query_of(mine)
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert asked["code_challenge"] != query_of(foreign)["code_challenge"]
    assert asked["nonce"] != query_of(foreign)["nonce"]
    stolen = query_of(consent(site, foreign))["code"]
    answer = browser.get("/api/auth/google/callback", params={"state": asked["state"], "code": stolen})
    assert problem(answer) == "provider_error"
    assert not signed_in(browser)


def test_signing_in_asks_for_the_least_and_connecting_for_more(site: Installation, browser: Browser) -> None:
    least = set(query_of(start(browser))["scope"].split())
    assert least == {"openid", "email", "profile"}
    site.sign_in(browser)
    asked = browser.post("/api/connections/google/start", json={}).json()["authorize_url"]
    more = query_of(asked)
    assert least < set(more["scope"].split())
    assert more["include_granted_scopes"] == "true"
    assert more["access_type"] == "offline"
    chosen = browser.post("/api/connections/spotify/start", json={"scopes": ["user-modify-playback-state"]}).json()
    assert "user-modify-playback-state" in query_of(chosen["authorize_url"])["scope"].split()


def test_redirect_uris_come_from_the_installation_and_never_from_host(site: Installation, browser: Browser) -> None:
    answer = browser.get("/api/auth/google/start", headers={"host": "localhost:1", "x-forwarded-host": "evil.test"})
    assert query_of(answer.headers["location"])["redirect_uri"] == f"{site.url}/api/auth/google/callback"


def test_a_provider_may_have_a_callback_path_of_its_own(site: Installation, browser: Browser) -> None:
    site.sign_in(browser)
    started = browser.post("/api/connections/spotify/start", json={}).json()["authorize_url"]
    assert query_of(started)["redirect_uri"] == f"{site.url}/api/spotify/callback"
    callback = consent(site, started)
    assert callback.startswith("/api/spotify/callback?")
    assert browser.get(callback).headers["location"] == "/connections"
    assert [each["provider"] for each in site.connections(browser)] == ["spotify"]
    denied = consent(site, browser.post("/api/connections/spotify/start", json={}).json()["authorize_url"], deny=True)
    assert browser.get(denied).headers["location"] == "/connections?problem=consent_denied&provider=spotify"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/auth/nobody/start", 404, "provider_unknown"),
        ("/api/auth/nobody/callback?state=x", 404, "provider_unknown"),
        ("/api/auth/notion/start", 404, "provider_not_for_sign_in"),
        ("/api/auth/microsoft/start", 409, "provider_not_configured"),
        ("/api/auth/Google/start", 422, "request_invalid"),
        ("/api/auth/google/start?return_to=//evil.test", 422, "return_to_invalid"),
        ("/api/auth/google/start?link=1", 401, "not_signed_in"),
    ],
)
def test_what_cannot_begin(browser: Browser, path: str, status: int, code: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_flow_cookie_is_only_for_the_server(browser: Browser) -> None:
    answer = browser.get("/api/auth/google/start")
    attributes = [part.strip().lower() for part in answer.headers["set-cookie"].split(";")]
    assert attributes[0].startswith("keybearer_flow=")
    assert {"httponly", "samesite=lax", "path=/"} <= set(attributes)
    assert "secure" not in attributes
    assert answer.headers["cache-control"] == "no-store"


def test_tabs_of_a_browser_share_its_secret(site: Installation, browser: Browser) -> None:
    first, second = start(browser), start(browser)
    assert browser.get(consent(site, second)).headers["location"] == "/"
    assert browser.get(consent(site, first)).headers["location"] == "/"


@pytest.mark.parametrize("planted", ["short", "x" * 4000, '"quoted; value"'])
def test_a_browser_secret_is_never_chosen_by_somebody_else(browser: Browser, planted: str) -> None:
    answer = browser.get("/api/auth/google/start", headers={"cookie": f"keybearer_flow={planted}"})
    assert planted not in answer.headers["set-cookie"]
    value = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert len(value) == 43
