"""Access tokens that anybody can verify, refresh tokens that work once, and that both end with their session."""

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from accounts.world import OTHER, PASSWORD
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from installation import Browser
from signin.site import Site, Sql

EMAIL = "programs@example.com"


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(decoded(token.split(".")[1]))
    return claims


def me(browser: Browser, token: str, **headers: str) -> httpx2.Response:
    return browser.get("/api/auth/me", headers={"Authorization": f"Bearer {token}", **headers})


def refresh(browser: Browser, token: str) -> httpx2.Response:
    return browser.post("/api/auth/refresh", json={"refresh_token": token})


@pytest.fixture
def signed_in(browser: Browser) -> dict[str, Any]:
    """A program that signed in."""
    body = {"email": EMAIL, "password": PASSWORD}
    answer = browser.post("/api/auth/login", json=body)
    if answer.status_code == 401:
        answer = browser.post("/api/auth/register", json={**body, "name": "Programs"})
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_whole_answer(browser: Browser, signed_in: dict[str, Any]) -> None:
    assert set(signed_in) == {
        "access_token", "token_type", "expires_in", "refresh_token", "session_token", "user", "livekit_token",
        "livekit_url",
    }  # fmt: skip
    assert (signed_in["token_type"], signed_in["expires_in"]) == ("bearer", 1800)
    assert signed_in["refresh_token"].startswith("kbr_")
    assert signed_in["session_token"].startswith("kbs_")
    assert set(signed_in["user"]) == {"id", "email", "name", "avatar_url", "roles", "tenant"}
    assert signed_in["livekit_url"] == "ws://127.0.0.1:7880"
    room = claims_of(signed_in["livekit_token"])
    assert (room["video"]["roomJoin"], room["video"]["room"]) == (True, f"person-{signed_in['user']['id']}")
    assert "set-cookie" not in browser.client.headers
    assert not browser.client.cookies


def test_every_token_opens_the_session(browser: Browser, signed_in: dict[str, Any], site: Site) -> None:
    answers = [me(browser, signed_in[name]) for name in ("access_token", "session_token")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.json()["session"]["id"] for answer in answers} == {claims_of(signed_in["access_token"])["sid"]}
    assert me(site.browser(site.running[1].port), signed_in["access_token"]).status_code == 200
    assert me(browser, signed_in["refresh_token"]).status_code == 401
    assert browser.get("/api/auth/me", headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_a_bearer_that_is_wrong_is_not_saved_by_a_cookie(site: Site, browser: Browser) -> None:
    site.sign_in(browser)
    assert browser.get("/api/auth/me").status_code == 200
    assert me(browser, "kbs_nonsense").status_code == 401
    assert browser.get("/api/auth/me", headers={"Authorization": "Basic eDp5"}).status_code == 200


def test_anybody_verifies_it_with_the_published_key(site: Site, browser: Browser, signed_in: dict[str, Any]) -> None:
    metadata = browser.get("/.well-known/oauth-authorization-server")
    assert metadata.json()["issuer"] == site.url
    jwks = browser.get(metadata.json()["jwks_uri"])
    assert jwks.headers["cache-control"] == "public, max-age=600"
    (key,) = jwks.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    head, body, signature = signed_in["access_token"].split(".")
    public = Ed25519PublicKey.from_public_bytes(decoded(key["x"]))
    public.verify(decoded(signature), f"{head}.{body}".encode())
    assert json.loads(decoded(head)) == {"alg": "EdDSA", "typ": "at+jwt", "kid": key["kid"]}
    claims = claims_of(signed_in["access_token"])
    assert set(claims) == {"iss", "sub", "aud", "exp", "iat", "jti", "sid", "tid", "email", "roles"}
    assert (claims["iss"], claims["aud"], claims["email"], claims["roles"]) == (site.url, site.url, EMAIL, ["member"])
    assert claims["sub"] == signed_in["user"]["id"]
    assert claims["exp"] - claims["iat"] == 1800


def forged(token: str, site: Site, how: str) -> str:
    """A token that must open nothing."""
    head, body, signature = token.split(".")
    claims, public = claims_of(token), site.browser().get("/.well-known/jwks.json").json()["keys"][0]["x"]
    match how:
        case "unsigned":
            return f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{body}."
        case "unsigned, with the signature":
            return f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{body}.{signature}"
        case "HS256 with the public key":
            signed = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'k1'})}.{body}"
            mac = hmac.digest(decoded(public), signed.encode(), hashlib.sha256)
            return f"{signed}.{encoded(mac)}"
        case "another person":
            return f"{head}.{encoded({**claims, 'sub': str(claims['sid'])})}.{signature}"
        case "a longer life":
            return f"{head}.{encoded({**claims, 'exp': claims['exp'] + 9999})}.{signature}"
        case "a key of its own":
            jwk = {"kty": "OKP", "crv": "Ed25519", "x": public}
            return f"{encoded({'alg': 'EdDSA', 'typ': 'at+jwt', 'jwk': jwk})}.{body}.{signature}"
        case "another type":
            return f"{encoded({'alg': 'EdDSA', 'typ': 'JWT', 'kid': 'k1'})}.{body}.{signature}"
        case "an unknown key":
            return f"{encoded({'alg': 'EdDSA', 'typ': 'at+jwt', 'kid': 'k9'})}.{body}.{signature}"
        case "nothing in it":
            return ".."
        case _:
            return "a.b." + "c" * 20_000


@pytest.mark.parametrize(
    "how",
    [
        "unsigned", "unsigned, with the signature", "HS256 with the public key", "another person", "a longer life",
        "a key of its own", "another type", "an unknown key", "nothing in it", "endless",
    ],
)  # fmt: skip
def test_a_forged_token_opens_nothing(site: Site, browser: Browser, signed_in: dict[str, Any], how: str) -> None:
    assert me(browser, forged(signed_in["access_token"], site, how)).status_code == 401
    assert me(browser, signed_in["access_token"]).status_code == 200


@pytest.mark.parametrize(
    "end", ["logout", "from another session", "by a new password", "of everybody", "by a disabled person"]
)
def test_the_end_of_the_session_is_the_end_of_its_tokens(
    site: Site, browser: Browser, signed_in: dict[str, Any], sql: Sql, end: str
) -> None:
    elsewhere = site.browser(site.running[1].port)
    assert me(elsewhere, signed_in["access_token"]).status_code == 200, "it is in memory there"
    bearer = {"Authorization": f"Bearer {signed_in['access_token']}"}
    other = site.browser()
    body = {"email": EMAIL, "password": PASSWORD}
    assert other.post("/api/auth/login", body, headers={"Keybearer-Session": "cookie"}).status_code == 200
    match end:
        case "logout":
            assert browser.post("/api/auth/logout", headers=bearer).status_code == 204
        case "from another session":
            sid = claims_of(signed_in["access_token"])["sid"]
            assert other.delete(f"/api/auth/sessions/{sid}").status_code == 204
        case "by a new password":
            assert other.post("/api/auth/password", {"current": PASSWORD, "new": OTHER}).status_code == 204
            assert other.get("/api/auth/me").status_code == 200
            assert other.post("/api/auth/password", {"current": OTHER, "new": PASSWORD}).status_code == 204
        case "of everybody":
            assert other.delete("/api/auth/sessions").status_code == 200
        case _:
            sql.all("UPDATE users SET disabled_at = now() WHERE email = $1", EMAIL)
            sql.all("SELECT pg_notify('keybearer', 'user:' || id) FROM users")
            time.sleep(0.1)
    for each in (browser, elsewhere):
        assert eventually(lambda each=each: me(each, signed_in["access_token"]).status_code == 401)
    assert refresh(browser, signed_in["refresh_token"]).json()["code"] == "refresh_invalid"
    sql.all("UPDATE users SET disabled_at = NULL")
    sql.all("SELECT pg_notify('keybearer', 'user:' || id) FROM users")


def eventually(check: Any) -> bool:
    """Within the promise of a revocation, with room for a busy machine."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.01)
    return False


def test_a_refresh_token_is_replaced(browser: Browser, signed_in: dict[str, Any]) -> None:
    first = refresh(browser, signed_in["refresh_token"])
    assert first.status_code == 200
    assert set(first.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert first.json()["refresh_token"] != signed_in["refresh_token"]
    assert me(browser, first.json()["access_token"]).status_code == 200
    assert me(browser, signed_in["access_token"]).status_code == 200, "the one before lives on to its end"
    again = refresh(browser, signed_in["refresh_token"])
    assert again.json() == first.json(), "whoever lost the answer gets it again"
    assert refresh(browser, first.json()["refresh_token"]).status_code == 200


def test_a_token_that_comes_back_later_ends_the_sign_in(browser: Browser, signed_in: dict[str, Any], sql: Sql) -> None:
    newest = refresh(browser, signed_in["refresh_token"]).json()
    sql.all("UPDATE refresh_tokens SET used_at = used_at - interval '11 s' WHERE used_at IS NOT NULL")
    reused = refresh(browser, signed_in["refresh_token"])
    assert (reused.status_code, reused.json()["code"]) == (401, "refresh_reused")
    assert refresh(browser, newest["refresh_token"]).json()["code"] == "refresh_invalid"
    assert me(browser, newest["access_token"]).status_code == 401
    assert me(browser, signed_in["session_token"]).status_code == 401
    actions = [row["action"] for row in sql.all("SELECT action FROM ledger ORDER BY id DESC LIMIT 1")]
    assert actions == ["session.token_reused"]
    told = sql.one("SELECT name FROM outbox ORDER BY id DESC LIMIT 1")
    assert told == "session.revoked"


@pytest.mark.parametrize("token", ["", "kbr_", "kbr_" + "A" * 49, "kbs_" + "A" * 49, "x" * 200])
def test_what_is_no_refresh_token(browser: Browser, token: str) -> None:
    answer = refresh(browser, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_invalid")


@pytest.mark.parametrize(
    "over",
    [
        "UPDATE refresh_tokens SET expires_at = now() - interval '1 s'",
        "UPDATE refresh_families SET expires_at = now() - interval '1 s'",
    ],
)
def test_tokens_end_by_themselves(browser: Browser, signed_in: dict[str, Any], sql: Sql, over: str) -> None:
    sql.all(over)
    if "families" in over:
        sql.all("UPDATE refresh_tokens t SET expires_at = f.expires_at FROM refresh_families f WHERE f.id = family_id")
    assert refresh(browser, signed_in["refresh_token"]).json()["code"] == "refresh_invalid"


def test_a_life_slides_and_has_an_end(browser: Browser, signed_in: dict[str, Any], sql: Sql) -> None:
    sql.all("UPDATE refresh_families SET expires_at = now() + interval '3 days'")
    refresh(browser, signed_in["refresh_token"])
    left = sql.one(
        "SELECT max(expires_at) - now() < interval '3 days 1 min' FROM refresh_tokens WHERE used_at IS NULL "
        "AND family_id = (SELECT family_id FROM refresh_tokens ORDER BY created_at DESC LIMIT 1)"
    )
    assert left is True


def test_twenty_clients_over_two_servers_get_one_pair(site: Site, signed_in: dict[str, Any], sql: Sql) -> None:
    """No false alarm inside the window, and one new token; outside it, the sign-in ends."""
    browsers = [site.browser(site.running[n % 2].port) for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda each: refresh(each, signed_in["refresh_token"]), browsers))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    family = "SELECT family_id FROM refresh_tokens WHERE token_hash = sha256($1)"
    token = signed_in["refresh_token"].encode()
    assert sql.one(f"SELECT count(*) FROM refresh_tokens WHERE family_id = ({family})", token) == 2
    sql.all("UPDATE refresh_tokens SET used_at = used_at - interval '11 s' WHERE used_at IS NOT NULL")
    with ThreadPoolExecutor(20) as pool:
        codes = sorted(pool.map(lambda each: refresh(each, signed_in["refresh_token"]).json()["code"], browsers))
    assert codes == [*["refresh_invalid"] * 19, "refresh_reused"]
    assert sql.one("SELECT count(*) FROM ledger WHERE action = 'session.token_reused'") >= 1
    for each in browsers:
        each.close()


def test_answers_kept_for_a_replay_are_ciphertext_and_go(
    site: Site, browser: Browser, signed_in: dict[str, Any], sql: Sql
) -> None:
    pair = refresh(browser, signed_in["refresh_token"]).json()
    (kept,) = sql.all(
        "SELECT replay FROM refresh_tokens WHERE token_hash = sha256($1)", signed_in["refresh_token"].encode()
    )
    assert pair["refresh_token"].encode() not in kept["replay"]
    sql.all("UPDATE refresh_tokens SET used_at = used_at - interval '11 s' WHERE used_at IS NOT NULL")
    site.command("prune")
    assert sql.one("SELECT count(*) FROM refresh_tokens WHERE replay IS NOT NULL") == 0
