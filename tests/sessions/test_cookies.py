"""The session cookie, attribute by attribute, as each scheme gives it."""

from collections.abc import Iterator

import httpx2
import pytest
from installation import NO_CERTIFICATES, Browser
from keybearer.kit import tokens
from keybearer.sessions.cookies import SessionCookie
from signin.site import Site, Sql, site_of
from starlette.responses import Response


def attributes(header: str) -> dict[str, str]:
    parts = [part.strip().partition("=") for part in header.split(";")[1:]]
    return {name.lower(): value.lower() for name, _, value in parts}


def name_and_value(header: str) -> tuple[str, str]:
    name, _, value = header.partition(";")[0].partition("=")
    return name, value


def signed_in_cookie(site: Site, browser: Browser) -> str:
    back = site.through(browser, browser.get("/api/auth/google/start").headers["location"])
    headers: list[str] = back.headers.get_list("set-cookie")
    (header,) = [each for each in headers if "session" in each.partition("=")[0]]
    return header


def test_on_this_machine(site: Site, browser: Browser) -> None:
    header = signed_in_cookie(site, browser)
    name, value = name_and_value(header)
    assert name == "keybearer_session"
    assert tokens.is_well_formed(value, tokens.SESSION)
    assert attributes(header) == {"path": "/", "httponly": "", "samesite": "lax", "max-age": "2592000"}


@pytest.fixture(scope="module")
def secure_site(tmp_path_factory, module_database, keybearer_sandbox_server, running_site) -> Iterator[Site]:
    """As behind a proxy that ends TLS: people reach it by https, and by this name."""
    folder = tmp_path_factory.mktemp("secure")
    server, url = keybearer_sandbox_server, "https://kb.example.test"
    with site_of(folder, module_database, server, keys_of=running_site, PUBLIC_URL=url) as site:
        for path in ("/api/auth/google/callback", "/api/auth/github/callback"):
            keybearer_sandbox_server.register_redirect_uri(f"https://kb.example.test{path}")
        yield site


def secure_sign_in(site: Site) -> tuple[httpx2.Client, httpx2.Response, httpx2.Response]:
    client = httpx2.Client(
        base_url=site.url, headers={"host": "kb.example.test"}, trust_env=False, verify=NO_CERTIFICATES
    )
    started = client.get("/api/auth/google/start")
    assert started.status_code == 302, started.text
    flow = started.headers["set-cookie"].partition(";")[0]
    callback = site.sandbox.authorize(started.headers["location"]).removeprefix("https://kb.example.test")
    return client, started, client.get(callback, headers={"cookie": flow})


def test_everywhere_else(secure_site: Site, sandbox) -> None:
    client, started, back = secure_sign_in(secure_site)
    assert back.headers["location"] == "/"
    session, device = back.headers.get_list("set-cookie")
    name, value = name_and_value(session)
    assert (name, name_and_value(device)[0]) == ("__Host-keybearer_session", "__Host-keybearer_device")
    expected = {"path": "/", "httponly": "", "samesite": "lax", "max-age": "2592000", "secure": ""}
    assert attributes(session) == expected
    assert attributes(device) == {**expected, "max-age": "15552000"}
    assert name_and_value(started.headers["set-cookie"])[0] == "__Host-keybearer_flow"
    assert attributes(started.headers["set-cookie"]) == {**expected, "max-age": "3600"}

    me = client.get("/api/auth/me", headers={"cookie": f"{name}={value}"})
    assert me.status_code == 200
    assert me.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    for weaker in (f"keybearer_session={value}", f"__Secure-keybearer_session={value}"):
        assert client.get("/api/auth/me", headers={"cookie": weaker}).status_code == 401
    client.close()


def test_every_sign_in_gives_a_new_token_and_ends_the_old(site: Site, browser: Browser, other: Browser) -> None:
    first = name_and_value(signed_in_cookie(site, browser))[1]
    second = name_and_value(signed_in_cookie(site, browser))[1]
    assert first != second
    assert other.get("/api/auth/me", headers={"cookie": f"keybearer_session={first}"}).status_code == 401
    assert browser.get("/api/auth/me").status_code == 200


def test_a_planted_cookie_is_never_taken_over(site: Site, browser: Browser) -> None:
    planted = tokens.new(tokens.SESSION)
    browser.client.cookies.set("keybearer_session", planted, domain="localhost.local", path="/")
    assert name_and_value(signed_in_cookie(site, browser))[1] != planted


def test_signing_out_clears_the_cookie(site: Site, browser: Browser) -> None:
    site.sign_in(browser)
    header = browser.post("/api/auth/logout").headers["set-cookie"]
    assert name_and_value(header)[0] == "keybearer_session"
    found = attributes(header)
    assert found["max-age"] == "0"
    assert {"path": "/", "httponly": "", "samesite": "lax"}.items() <= found.items()


@pytest.mark.parametrize("secure", [True, False])
def test_clearing_names_what_setting_named(secure: bool) -> None:
    cookie, given, cleared = SessionCookie(secure), Response(), Response()
    cookie.set(given, "kbs_x")
    cookie.clear(cleared)
    kept = {"path", "secure", "httponly", "samesite"}
    of_given, of_cleared = (attributes(each.headers["set-cookie"]) for each in (given, cleared))
    assert {k: v for k, v in of_given.items() if k in kept} == {k: v for k, v in of_cleared.items() if k in kept}


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        (b"", None),
        (b"keybearer_session=a", "a"),
        (b"x=1; keybearer_session=a; y=2", "a"),
        (b"keybearer_session=a; keybearer_session=b", "a"),
        (b"xkeybearer_session=a", None),
        (b"x=keybearer_session=a", None),
        (b"__Host-keybearer_session=a", None),
        (b"keybearer_session=\xff\xfe", "\xff\xfe"),
    ],
)
def test_reading(header: bytes | None, token: str | None) -> None:
    assert SessionCookie(secure=False).read(header) == token


def test_only_a_hash_is_stored(site: Site, browser: Browser, sql: Sql) -> None:
    token = name_and_value(signed_in_cookie(site, browser))[1]
    stored = sql.all("SELECT token_hash FROM bearers WHERE token_hash = $1", tokens.digest(token))
    assert len(stored) == 1
    for table in ("sessions", "bearers", "flows", "ledger", "outbox"):
        found = sql.one(f"SELECT count(*) FROM {table} AS r WHERE r::text LIKE '%' || $1 || '%'", token)
        assert found == 0, table
