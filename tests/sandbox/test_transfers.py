"""The endpoints for proxies: big, slow and odd answers, and bodies that are counted."""

import hashlib
import http.client
from urllib.parse import urlsplit

import pytest

PREFIXES = {"google": "/google/v1", "spotify": "/spotify/v1", "github": "/github", "oidc": "/oidc/api"}
SCOPES = {"google": "openid", "spotify": "", "github": "", "oidc": "openid"}
BODY = b"0123456789" * 1000


@pytest.fixture
def token(sandbox) -> str:
    return sandbox.tokens("spotify")["access_token"]


@pytest.mark.parametrize("provider", PREFIXES)
@pytest.mark.parametrize("name", ["echo", "stream", "upload", "events", "redirect"])
def test_they_need_a_token_at_every_provider(sandbox, provider, name) -> None:
    method = "POST" if name == "upload" else "GET"
    path = f"{PREFIXES[provider]}/{name}"
    assert sandbox.request(method, path, None, {"User-Agent": "x"}).status == 401
    good = sandbox.tokens(provider, SCOPES[provider])["access_token"]
    assert sandbox.api(method, path, good).status in (200, 302)
    assert sandbox.stats()[provider][name] == 2


def test_echo_tells_what_arrived(sandbox, token) -> None:
    headers = {"Authorization": f"Bearer {token}", "X-Thing": "1", "Content-Type": "text/plain"}
    answer = sandbox.request("PATCH", "/spotify/v1/echo/a%2Fb/%7Euser?x=1&x=%2B", BODY, headers)
    seen = answer.json()
    assert seen["method"] == "PATCH"
    assert seen["path"] == "/spotify/v1/echo/a%2Fb/%7Euser"
    assert seen["query"] == "x=1&x=%2B"
    assert ["x-thing", "1"] in seen["headers"]
    assert seen["body"] == {"bytes": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}
    assert token.encode() not in answer.body
    assert ["authorization", f"Bearer sha256:{hashlib.sha256(token.encode()).hexdigest()}"] in seen["headers"]


def test_echo_carries_headers_that_a_proxy_must_drop(sandbox, token) -> None:
    headers = sandbox.api("GET", "/spotify/v1/echo", token).headers
    for name in (
        "set-cookie",
        "clear-site-data",
        "content-security-policy",
        "strict-transport-security",
        "access-control-allow-origin",
        "keybearer-error",
    ):
        assert name in headers


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 1_000_003])
def test_streams_have_the_size_asked_for(sandbox, token, size) -> None:
    answer = sandbox.api("GET", f"/spotify/v1/stream?bytes={size}", token)
    assert answer.headers["content-length"] == str(size)
    assert answer.body == (bytes(range(256)) * (size // 256 + 1))[:size]


@pytest.mark.parametrize("query", ["bytes=-1", "bytes=x", "bytes=999999999999999", "bytes=1&bytes=2", "delay_ms=99999"])
def test_unfit_sizes_are_refused(sandbox, token, query) -> None:
    assert sandbox.api("GET", f"/spotify/v1/stream?{query}", token).status == 400


def test_uploads_are_counted_and_hashed(sandbox, token) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
    expected = {
        "bytes": len(BODY),
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "content_type": "application/octet-stream",
    }
    assert sandbox.request("PUT", "/spotify/v1/upload", BODY, headers).json() == expected


def test_events_come_one_by_one(sandbox, token) -> None:
    parts = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    path = "/spotify/v1/events?count=3&interval_ms=60000"
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.readline() == b"id: 1\n"
    assert response.readline() == b"event: tick\n"
    connection.close()
    assert sandbox.api("GET", "/spotify/v1/events?count=3&interval_ms=0", token).body.count(b"event: tick") == 3


@pytest.mark.parametrize(
    ("query", "status", "location"),
    [
        ("", 302, "https://elsewhere.example/"),
        ("?status=307&to=http://127.0.0.1:1/x", 307, "http://127.0.0.1:1/x"),
        ("?to=%0d%0aX-Evil:1", 302, "%0D%0AX-Evil:1"),
    ],
)
def test_redirects(sandbox, token, query, status, location) -> None:
    answer = sandbox.api("GET", f"/spotify/v1/redirect{query}", token)
    assert (answer.status, answer.headers["location"]) == (status, location)
    assert "x-evil" not in answer.headers


def test_stats_name_each_token_by_its_hash(sandbox) -> None:
    tokens = [sandbox.tokens("spotify")["access_token"], sandbox.tokens("oidc", "openid")["access_token"]]
    for _ in range(2):
        sandbox.api("GET", "/spotify/v1/me", tokens[0])
    sandbox.api("GET", "/oidc/userinfo", tokens[1])
    sandbox.api("GET", "/oidc/userinfo", "never-issued")
    hashes = [hashlib.sha256(t.encode()).hexdigest() for t in (*tokens, "never-issued")]
    stats = sandbox.stats()
    assert stats["spotify"]["access_tokens_sha256"] == hashes[:1]
    assert stats["oidc"]["access_tokens_sha256"] == hashes[1:]
    assert stats["access_tokens_sha256"] == hashes
    assert stats["spotify"]["me"] == 2
