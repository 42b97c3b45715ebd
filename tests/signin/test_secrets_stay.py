"""Whatever happens at a sign-in, no secret of it is in an answer, a log line, a metric or the database's plain text."""

from installation import Browser
from signin.site import Site, Sql, consent, query_of, start


def test_no_secret_of_a_sign_in_is_seen_anywhere(site: Site, browser: Browser, other: Browser, sql: Sql) -> None:
    planted = "kbs_" + "A" * 49
    url = start(browser)
    callback = consent(site, url)
    flow = browser.client.cookies["keybearer_flow"]
    answers = [browser.get(callback), browser.get(callback), other.get(callback)]
    answers.append(browser.get("/api/auth/google/callback", params={"state": planted, "code": planted}))
    site.sandbox.control("google", "bad_signature")
    answers.append(other.get(consent(site, start(other))))
    connecting = browser.post("/api/connections/spotify/start", json={}).json()["authorize_url"]
    connect = consent(site, connecting)
    answers += [
        browser.get(connect),
        browser.get(f"/api/{planted}"),
        browser.get("/api/ledger", params={"after": planted}),
    ]
    answers += [browser.get(path) for path in ("/api/auth/sessions", "/api/connections", "/api/ledger", "/api/auth/me")]
    session = browser.client.cookies["keybearer_session"]

    secrets = {query_of(callback)["code"], query_of(connect)["code"], query_of(url)["state"], query_of(url)["nonce"]}
    secrets |= {flow, session, planted, "sbx_"}
    internal = site.running[0].internal
    places = {
        "log": site.log.read_text(),
        "metrics": internal("/metrics").text,
        "keyring": internal("/internal/keyring").text,
        "answers": "".join(answer.text + answer.headers.get("location", "") for answer in answers),
    }
    for name, text in places.items():
        assert [secret for secret in secrets if secret in text] == [], name
    for row in sql.all("SELECT table_name FROM information_schema.tables WHERE table_schema = 'keybearer'"):
        table = row["table_name"]
        for secret in secrets:
            found = sql.one(f'SELECT count(*) FROM "{table}" AS r WHERE position($1 in r::text) > 0', secret)
            assert found == 0, (table, secret)


def test_keys_are_not_in_the_answer_about_keys(site: Site) -> None:
    key = (site.folder / "keyring" / "k1").read_text()
    answer = site.running[0].internal("/internal/keyring").json()
    assert key not in str(answer)
    assert set(answer) == {"revision", "primary", "keys", "signing", "database"}
    assert set(answer["signing"]) == {"revision", "primary", "keys"}
    assert set(answer["database"]) == {"username"}
