"""Whatever is sent, the answer is the provider's own 4xx: never a 5xx, and never a hung or dead server."""

import json
import socket
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TOKEN_PATHS = ("/google/token", "/spotify/api/token", "/github/login/oauth/access_token", "/oidc/token", "/oidc/revoke")
AUTHORIZATION_PATHS = (
    "/google/o/oauth2/v2/auth",
    "/spotify/authorize",
    "/github/login/oauth/authorize",
    "/oidc/authorize",
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
OVER_LIMIT = 70_000

shared = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("path", TOKEN_PATHS)
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"", FORM),
        (b"{}", JSON),
        (b"[]", JSON),
        (b'{"code": 5, "client_id": []}', JSON),
        (b"\xff\xfe=\xff", FORM),
        (b"grant_type=%FF%FE", FORM),
        (b"grant_type=refresh_token&grant_type=refresh_token", FORM),
        (b"&".join(b"a%d=1" % n for n in range(500)), FORM),
        (b"a=" + b"x" * OVER_LIMIT, FORM),
        (b"grant_type=authorization_code&code=%00%0a", FORM),
        (b"a=b", {"Content-Type": "multipart/form-data; boundary=x"}),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-99"}),
    ],
)
def test_token_endpoints(sandbox, path, body, headers) -> None:
    answer = sandbox.request("POST", path, body, {**headers, "Accept": "application/json"})
    assert 400 <= answer.status < 500 or (path.startswith("/github") and answer.status == 200)
    assert "error" in answer.json()
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize("path", AUTHORIZATION_PATHS)
@pytest.mark.parametrize(
    "query",
    ["", "client_id", "client_id=%FF", "client_id=%00", "a=1&a=2", "x" * 20_000, "&&&===", "client_id=%ED%A0%80"],
)
def test_authorization_endpoints(sandbox, path, query) -> None:
    answer = sandbox.request("GET", f"{path}?{query}")
    assert 400 <= answer.status < 500
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "order",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 60_000,
        b'{"n": ' + b"9" * 5000 + b"}",
        b"x" * OVER_LIMIT,
        *(
            json.dumps(order).encode()
            for order in (
                {},
                {"provider": "spotify"},
                {"provider": "myspace", "fault": "slow"},
                {"provider": ["spotify"], "fault": "slow"},
                {"provider": "\ud800", "fault": "slow"},
                {"provider": "spotify", "fault": "explode"},
                {"provider": "spotify", "fault": {}},
                {"provider": "spotify", "fault": "slow", "times": 0},
                {"provider": "spotify", "fault": "slow", "times": True},
                {"provider": "spotify", "fault": "slow", "times": 1.5},
                {"provider": "spotify", "fault": "slow", "times": "2"},
                {"provider": "spotify", "fault": "slow", "times": 10**30},
                {"provider": "spotify", "fault": "slow", "seconds": 61},
                {"provider": "spotify", "fault": "slow", "seconds": -1},
                {"provider": "spotify", "fault": "slow", "seconds": float("nan")},
                {"provider": "spotify", "fault": "slow", "seconds": float("inf")},
                {"provider": "spotify", "fault": "slow", "seconds": "1"},
                {"provider": "spotify", "fault": "slow", "operation": "everything"},
                {"provider": "spotify", "fault": "slow", "operation": None},
                {"provider": "spotify", "fault": "rotate", "operation": "api"},
                {"provider": "spotify", "fault": "rotate", "rotation_grace_seconds": -1},
                {"provider": "spotify", "expires_in": 0},
                {"provider": "spotify", "expires_in": "3600"},
                {"provider": "spotify", "expires_in": True},
                {"provider": "spotify", "expires_in": 10**12},
                {"provider": "spotify", "fault": "slow", "tmies": 1},
                {"provider": "spotify", "fault": "slow", "\ud800": 1},
            )
        ),
    ],
)
def test_orders_that_are_not_understood_change_nothing(sandbox, order) -> None:
    answer = sandbox.request("POST", "/control", order, JSON)
    assert answer.status == 400
    assert answer.json()["error"]
    assert sandbox.request("GET", "/control").json()["faults"] == []


@pytest.mark.parametrize(
    "uri",
    [
        None,
        5,
        "",
        "/local",
        "javascript:alert(1)",
        "ftp://x/",
        "http://",
        "http://x/#f",
        "http://x/ y",
        "http://x:99999/",
        "http://[",
        "http://x/\r\nA: b",
        "http://ü/",
    ],
)
def test_redirect_uris_that_cannot_be_registered(sandbox, uri) -> None:
    answer = sandbox.request("POST", "/redirect-uris", json.dumps({"redirect_uri": uri}).encode(), JSON)
    assert answer.status == 400


@pytest.mark.parametrize("query", ["to=%FF", "to=a&to=b"])
def test_mail_queries(sandbox, query) -> None:
    assert sandbox.request("GET", f"/mail?{query}").status == 400


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /spotify/v1/me\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%00%0a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /oidc/token HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /oidc/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        (
            b"POST /oidc/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 50\r\n\r\na=1"
        ),
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000,
    ],
)
def test_broken_http_hurts_nobody_else(sandbox, raw) -> None:
    parts = urlsplit(sandbox.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 5")
    assert sandbox.request("GET", "/health").status == 200


@shared
@given(
    path=st.sampled_from(TOKEN_PATHS),
    form=st.dictionaries(
        st.sampled_from(
            [
                "grant_type",
                "code",
                "client_id",
                "client_secret",
                "refresh_token",
                "redirect_uri",
                "code_verifier",
                "scope",
                "token",
            ]
        ),
        st.sampled_from(
            [
                "",
                "authorization_code",
                "refresh_token",
                "client_credentials",
                "sandbox-oidc",
                "sandbox-github",
                "sbx_secret_oidc",
                "openid",
            ]
        )
        | st.text(max_size=20).filter(lambda t: t.isprintable()),
    ),
)
def test_any_form_is_answered_below_500(sandbox, path, form) -> None:
    answer = sandbox.request("POST", path, urlencode(form, errors="replace").encode(), FORM)
    assert answer.status < 500


@shared
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["provider", "fault", "times", "operation", "seconds", "expires_in"])
                | st.text(max_size=5),
                inner,
                max_size=6,
            )
        ),
        max_leaves=10,
    )
)
def test_any_order_is_answered_below_500(sandbox, value) -> None:
    answer = sandbox.request("POST", "/control", json.dumps(value).encode(), JSON)
    assert answer.status in (200, 400)


@shared
@given(query=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_any_query_of_the_api_is_answered_below_500(sandbox, query) -> None:
    token = sandbox.tokens("spotify")["access_token"]
    safe = query.replace("#", "")
    for path in ("/spotify/v1/search", "/spotify/v1/stream", "/spotify/v1/redirect", "/spotify/v1/echo"):
        assert sandbox.api("GET", f"{path}?q=x&type=track&{safe}", token).status < 500
