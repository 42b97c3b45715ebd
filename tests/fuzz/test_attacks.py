"""What no schema describes: bytes, encodings, headers and nesting that are broken on purpose."""

import json
from typing import Any

import pytest

_WRITES = [
    ("create_grant", "POST", "/api/grants"),
    ("start_connection", "POST", "/api/connections/spotify/start"),
    ("connect_with_secret", "POST", "/api/connections/weather"),
    ("erase_account", "DELETE", "/api/auth/me"),
    ("register", "POST", "/api/auth/register"),
    ("login", "POST", "/api/auth/login"),
    ("refresh_tokens", "POST", "/api/auth/refresh"),
    ("change_password", "POST", "/api/auth/password"),
    ("create_api_key", "POST", "/api/api-keys"),
    ("verify_email", "POST", "/api/auth/email/verify"),
    ("resend_verification", "POST", "/api/auth/email/verify/resend"),
    ("forgot_password", "POST", "/api/auth/password/forgot"),
    ("reset_password", "POST", "/api/auth/password/reset"),
    ("report_not_me", "POST", "/api/auth/not-me"),
]
_READS = [
    ("list_entries", "/api/ledger"),
    ("list_grants", "/api/grants"),
    ("list_connections", "/api/connections"),
    ("start_sign_in", "/api/auth/google/start"),
    ("finish_flow", "/api/auth/google/callback"),
    ("read_entry", "/api/ledger/1"),
]
_NEST = 20_000
_BODIES = {
    "broken UTF-8": (b'{"agent": "\xff\xfe"}', "application/json"),
    "cut off": (b'{"agent": "DJ", "prov', "application/json"),
    "empty": (b"", "application/json"),
    "NUL": (b"\x00", "application/json"),
    "NUL in a text": (b'{"agent": "a\\u0000b", "providers": ["spotify"]}', "application/json"),
    "NUL as a scope": (b'{"scopes": ["a\\u0000b"]}', "application/json"),
    "NUL in a path": (b'{"return_to": "/a\\u0000b"}', "application/json"),
    "NUL in a field": (b'{"fields": {"api_key": "a\\u0000b"}}', "application/json"),
    "half a surrogate": (b'{"agent": "\\ud800", "providers": ["\\ud800"], "reason": "\\ud800"}', "application/json"),
    "half a surrogate in a path": (b'{"return_to": "/\\ud800"}', "application/json"),
    "half a surrogate in a field": (b'{"fields": {"api_key": "\\ud800"}}', "application/json"),
    "half a surrogate as confirmation": (b'{"confirm": "\\ud800"}', "application/json"),
    "NUL in an address": (b'{"email": "a\\u0000@example.com", "password": "x"}', "application/json"),
    "half a surrogate as password": (b'{"email": "a@example.com", "password": "\\ud800"}', "application/json"),
    "half a surrogate as the present one": (b'{"current": "\\ud800", "new": "\\ud800"}', "application/json"),
    "NUL as refresh token": (b'{"refresh_token": "kbr_\\u0000"}', "application/json"),
    "NUL in an address alone": (b'{"email": "a\\u0000@example.com"}', "application/json"),
    "half a surrogate as an address": (b'{"email": "\\ud800@example.com"}', "application/json"),
    "half a surrogate as a link": (b'{"token": "kbm_\\ud800", "new": "\\ud800"}', "application/json"),
    "NUL as a code": (b'{"email": "a\\u0000", "code": "\\u0000"}', "application/json"),
    "NUL as a name": (b'{"name": "a\\u0000b"}', "application/json"),
    "deep": (b"[" * _NEST + b"]" * _NEST, "application/json"),
    "deep members": (b'{"a":' * _NEST + b"1" + b"}" * _NEST, "application/json"),
    "a number without end": (b'{"agent": "DJ", "ttl_seconds": ' + b"9" * 5000 + b"}", "application/json"),
    "infinite": (b'{"agent": "DJ", "ttl_seconds": 1e999}', "application/json"),
    "NaN": (b'{"agent": "DJ", "ttl_seconds": NaN}', "application/json"),
    "a list": (b"[]", "application/json"),
    "null": (b"null", "application/json"),
    "the same member twice": (b'{"agent": "a", "agent": ["b"]}', "application/json"),
    "UTF-16": ('{"agent": "DJ"}'.encode("utf-16"), "application/json; charset=utf-16"),
    "an unknown charset": (b'{"agent": "DJ"}', "application/json; charset=made-up"),
    "XML": (b"<agent>DJ</agent>", "application/xml"),
    "a form": (b"agent=DJ", "application/x-www-form-urlencoded"),
    "parts without a border": (b"--x", "multipart/form-data"),
    "no such type": (b'{"agent": "DJ"}', "a/b/c;;;=\xff"),
    "too large": (b'{"agent": "' + b"x" * 1_100_000 + b'"}', "application/json"),
}


@pytest.mark.parametrize("body", list(_BODIES))
@pytest.mark.parametrize(("operation", "method", "path"), _WRITES)
def test_broken_bodies(target, operation: str, method: str, path: str, body: str) -> None:
    content, media_type = _BODIES[body]
    headers = {"Content-Type": media_type, **target.credential(operation)}
    answer = target.send(operation, method=method, url=target.url + path, data=content, headers=headers)
    assert 200 <= answer.status < 500
    assert answer.status >= 400 or body.startswith(("NUL", "half", "no such", "an unknown", "UTF-16", "the same"))


_QUERIES = [
    "limit=1&limit=2", "limit=", "limit=9" + "9" * 400, "limit=-1", "limit=1.5", "after=%00", "after=%ff%fe",
    "after=" + "a" * 3000, "after=2026-11-22&after=x",
    "from=9999-12-31T23:59:59%2B00:00", "from=0001-01-01T00:00:00%2B14:00", "to=-1e308",
    "action=%00", "action=..", "provider=%F0%9F%8E%B5", "person=00000000-0000-0000-0000-000000000000",
    "connection=%7B%7D",
    "return_to=//evil.example", "return_to=%5C%5Cevil.example", "return_to=%00", "return_to=/%0d%0aSet-Cookie:a=b",
    "state=%00&code=%00", "state=" + "a" * 7000, "state=a&state=b&code=c", "error=%ff", "code=a&state=%ed%a0%80",
    "link=maybe", "link=1&link=0", "%00=%00", "&&&===", "a[]=1&a[b]=2",
]  # fmt: skip


@pytest.mark.parametrize("query", _QUERIES)
def test_broken_queries(target, query: str) -> None:
    for operation, path in _READS:
        headers = target.credential(operation)
        answer = target.send(operation, method="GET", url=f"{target.url}{path}?{query}", headers=headers)
        assert "evil.example" not in answer.headers.get("location", "").partition("?")[0]
        assert "a=b" not in answer.headers.get("set-cookie", "")


_HEADERS: list[dict[str, Any]] = [
    {"X-Long": "x" * 40_000},
    {f"X-{number}": "y" * 100 for number in range(400)},
    {"Cookie": "keybearer_session=" + "a" * 20_000},
    {"Cookie": "keybearer_session=\xff\xfe; =; ;;;"},
    {"Cookie": 'keybearer_session="kbs_', "X-Forwarded-For": "not an address"},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer \xe9"},
    {"Authorization": "Bearer a.b.c"},
    {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
    {"Authorization": "bearer  " + "e30." * 2 + "\xe9"},
    {"Keybearer-Session": "\xff"},
    {"Authorization": "Basic " + "A" * 1000},
    {"Last-Event-ID": "-1"},
    {"Last-Event-ID": "9" * 60 + "-1"},
    {"Last-Event-ID": "x" * 5000},
    {"Host": ""},
    {"Host": "evil.example"},
    {"Host": "localhost:99999999"},
    {"Host": "[::1]:99999999"},
    {"Origin": "null"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Accept": "\xff", "Accept-Encoding": "*;q=-1", "Accept-Language": "x" * 2000},
    {"Content-Length": "-1"},
    {"Transfer-Encoding": "gzip, chunked"},
    {"Expect": "100-continue", "Upgrade": "websocket", "Connection": "Upgrade"},
    {"Range": "bytes=9-1", "If-None-Match": "*"},
    {"X-Request-ID": "a b\tc"},
    {"User-Agent": "x" * 8000},
    {"Keybearer-Connection": "\xff", "Keybearer-Reason": "x" * 2000},
]


@pytest.mark.parametrize("headers", _HEADERS, ids=lambda headers: " ".join(list(headers)[:2]))
def test_broken_headers(target, headers: dict[str, Any]) -> None:
    for operation, method, path in (
        ("read_me", "GET", "/api/auth/me"),
        ("list_connections", "GET", "/api/connections"),
        ("stream_events", "GET", "/api/events"),
        ("create_grant", "POST", "/api/grants"),
        ("start_sign_in", "GET", "/api/auth/google/start"),
        ("proxy_get", "GET", "/api/proxy/spotify/v1/me"),
    ):
        given = {name: value.encode("latin-1") for name, value in {**target.credential(operation), **headers}.items()}
        body = b"{}" if method == "POST" else None
        target.send(operation, method=method, url=target.url + path, data=body, headers=given)


_PATHS = [
    "/api/%00", "/api/%ff", "/api/../api/auth/me", "/api//auth//me", "/api/auth/%2e%2e/me", "/api/" + "a/" * 3000,
    "/api/ledger/%00", "/api/ledger/" + "9" * 400, "/api/ledger/-1", "/api/ledger/1%2F2",
    "/api/auth/%F0%9F%8E%B5/start",
    "/api/auth/google%00/callback", "/api/grants/%7B%7D", "/api;x=y/auth/me", "/api/auth/me/", "/api/proxy/spotify",
    "/api/proxy/spotify/%00", "/api/proxy/spotify/..%2f..%2fetc", "/api/proxy/%ff/v1/me",
    "/internal/keyring", "/metrics",
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "MADEUP"])
def test_broken_paths_and_methods(target, method: str) -> None:
    for path in _PATHS:
        operation = "proxy_get" if path.startswith("/api/proxy/") else "read_me"
        headers = target.credential(operation)
        answer = target.send(operation, method=method, url=target.url + path, headers=headers)
        assert b'"revision"' not in answer.body
        assert b"keybearer_http_requests_total" not in answer.body


def test_what_was_written_reads_as_it_was_sent(target) -> None:
    """Text that is odd but right is kept: an agent in any script, with every character that JSON can carry."""
    name = "D\u202eJ \U0001f3b5 \\ \" ' <b> \u00e9"
    body = json.dumps({"agent": name, "connections": [target.connection]}).encode()
    headers = {"Content-Type": "application/json", **target.credential("create_grant")}
    made = target.send("create_grant", method="POST", url=f"{target.url}/api/grants", data=body, headers=headers)
    assert made.status == 422 or made.json()["agent"] == name
