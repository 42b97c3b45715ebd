"""Who may send what: other sites, other hosts, proxies that are trusted and those that are not."""

from collections.abc import Iterator

import httpx2
import pytest
from installation import NO_CERTIFICATES, Browser
from signin.site import Site, Sql, site_of

LISTED = "https://app.example.test"


@pytest.fixture(scope="module")
def running_site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    """With one site listed for CORS, a proxy that is trusted, and a name for use inside."""
    extra = {"CORS_ORIGINS": LISTED, "TRUSTED_PROXIES": "127.0.0.1", "INTERNAL_HOSTS": "keybearer.internal"}
    folder = tmp_path_factory.mktemp("site")
    with site_of(folder, module_database, keybearer_sandbox_server, **extra) as site:
        yield site


OWN = object()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"origin": OWN}, 204),
        ({"origin": OWN, "sec-fetch-site": "same-origin"}, 204),
        ({"sec-fetch-site": "none"}, 204),
        ({"origin": LISTED}, 204),
        ({"origin": LISTED, "sec-fetch-site": "cross-site"}, 204),
        ({"origin": "https://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://localhost"}, 403),
        ({"origin": LISTED + ".evil.test"}, 403),
        ({"origin": LISTED.upper()}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "anything"}, 403),
        ({"origin": OWN, "sec-fetch-site": "cross-site"}, 403),
        ({"origin": "https://evil.test", "sec-fetch-site": "same-origin"}, 403),
    ],
)
def test_unsafe_methods_come_from_our_own_pages(site: Site, browser: Browser, headers: dict, status: int) -> None:
    session = site.sign_in(browser)["session"]["id"]
    sent = {name: site.url if value is OWN else value for name, value in headers.items()}
    answer = browser.client.delete(f"/api/auth/sessions/{session}", headers=sent)
    assert answer.status_code == status, answer.text
    if status == 403:
        assert answer.json()["code"] == "cross_site"
        assert browser.get("/api/auth/me").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "LINK", "PROPFIND"])
@pytest.mark.parametrize("path", ["/api/auth/logout", "/api/nothing", "/api/proxy/spotify/v1/me", "/"])
def test_every_unsafe_method_is_checked(browser: Browser, method: str, path: str) -> None:
    answer = browser.client.request(method, path, headers={"origin": "https://evil.test"})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize("origin", ["https://evil.test", "null", LISTED + ":8443", "http://app.example.test"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_other_site_may_read(browser: Browser, origin: str, method: str) -> None:
    headers = {"origin": origin, "access-control-request-method": "GET"}
    answer = browser.client.request(method, "/api/auth/me", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_listed_site_may(site: Site, browser: Browser) -> None:
    site.sign_in(browser)
    for _ in range(2):
        answer = browser.get("/api/auth/me", headers={"origin": LISTED})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == LISTED
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
    asked = {"origin": LISTED, "access-control-request-method": "DELETE"}
    preflight = browser.client.request("OPTIONS", "/api/auth/me", headers=asked)
    assert preflight.status_code == 204
    assert "DELETE" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-origin"] == LISTED


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "localhost.evil.test",
        "localhost@evil.test",
        "",
        "localhost,evil.test",
        "xn--lcalhost-",
        "*",
    ],
)
@pytest.mark.parametrize("path", ["/api", "/api/auth/me", "/api/auth/google/start", "/"])
def test_a_host_of_nobody_is_unknown(browser: Browser, host: str, path: str) -> None:
    answer = browser.get(path, headers={"host": host})
    assert answer.status_code == 404
    assert answer.json()["code"] == "host_unknown"


def test_a_name_for_inside_serves_agents_alone(site: Site, browser: Browser) -> None:
    site.sign_in(browser)
    site.connect(browser)
    grant = site.grant(browser)["grant"]
    inside = {"host": "keybearer.internal"}
    assert site.call(grant, "spotify/v1/me", headers=inside).status_code == 200
    assert browser.get("/api/health", headers=inside).status_code == 200
    for path in ("/api", "/api/auth/me", "/api/auth/google/start", "/api/grants", "/"):
        cookie = {"cookie": f"keybearer_session={browser.client.cookies['keybearer_session']}"}
        answer = browser.get(path, headers=inside | cookie)
        assert (answer.status_code, answer.json()["code"]) == (404, "host_unknown"), path


def test_other_names_of_this_machine_lead_to_the_public_one(site: Site) -> None:
    with httpx2.Client(trust_env=False, verify=NO_CERTIFICATES) as client:
        answer = client.get(f"http://127.0.0.1:{site.port}//evil.test/x?a=b")
        assert answer.status_code == 307
        assert answer.headers["location"].startswith(f"{site.url}/")
        assert client.get(f"http://127.0.0.1:{site.port}/api/auth/me").status_code == 404


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ([], "This computer"),
        (["203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 127.0.0.1"], "203.0.113.9"),
        (["10.1.2.3"], "Private network"),
        (["2001:db8::5"], "2001:db8::5"),
        (["::ffff:192.168.1.2"], "Private network"),
        (["fe80::1"], "Private network"),
        (["nonsense"], "This computer"),
        (["203.0.113.9, nonsense"], "This computer"),
        ([""], "This computer"),
    ],
)
def test_a_trusted_proxy_says_where_people_are(
    site: Site, browser: Browser, sql: Sql, lines: list[str], place: str
) -> None:
    """The last hop that is not a proxy of ours counts, on whichever line it stands; what comes before is hearsay."""
    sql.all("DELETE FROM sessions")
    callback = site.sandbox.authorize(browser.get("/api/auth/google/start").headers["location"])
    browser.client.get(callback, headers=[("x-forwarded-for", line) for line in lines])
    assert [each["place"] for each in browser.get("/api/auth/sessions").json()["items"]] == [place]


def test_a_trusted_proxys_request_id_is_kept_if_it_is_one(browser: Browser) -> None:
    kept = browser.get("/api/health", headers={"x-request-id": "abc-123_XYZ.9"})
    assert kept.headers["x-request-id"] == "abc-123_XYZ.9"
    for odd in ("short", "x" * 65, "a b c d e f g h", "\u00e9" * 12):
        answer = browser.get("/api/health", headers={"x-request-id": odd.encode("latin-1")})
        assert answer.headers["x-request-id"] != odd


@pytest.fixture(scope="module")
def unproxied(tmp_path_factory, module_database, keybearer_sandbox_server, running_site) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("unproxied")
    with site_of(folder, module_database, keybearer_sandbox_server, keys_of=running_site) as site:
        yield site


def test_nobody_else_is_believed(unproxied: Site, sandbox, sql: Sql) -> None:
    sql.all("DELETE FROM sessions")
    browser = unproxied.browser()
    lies = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9", "x-real-ip": "203.0.113.9"}
    browser.client.headers.update(lies | {"x-request-id": "abc-123_XYZ.9", "x-forwarded-proto": "https"})
    unproxied.sign_in(browser)
    answer = browser.get("/api/auth/sessions")
    assert answer.json()["items"][0]["place"] == "This computer"
    assert answer.headers["x-request-id"] != "abc-123_XYZ.9"
    assert "strict-transport-security" not in answer.headers
    headers = {"origin": LISTED, "access-control-request-method": "GET"}
    assert "access-control-allow-origin" not in browser.get("/api/auth/me", headers=headers).headers
    browser.close()
