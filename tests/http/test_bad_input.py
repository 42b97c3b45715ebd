"""Attacks by hand on every route that the API describes: each answer is a problem with a code, and never a 5xx."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from installation import Browser
from signin.site import Site, log_lines_of, site_of


def _with_everywhere(escape: str) -> bytes:
    """The odd character in every member that some route knows, and in a name."""
    text = f'"a{escape}"'
    members = {"agent": text, "reason": text, "confirm": text, "fields": f'{{"key": {text}, {text}: {text}}}'}
    members |= {"providers": f"[{text}]", "scopes": f"[{text}]", "return_to": f'"/{escape}"', f"x{escape}": "1"}
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in members.items()) + "}").encode()


BODIES: dict[str, tuple[bytes, str]] = {
    "broken": (b'{"a":', "application/json"),
    "empty": (b"", "application/json"),
    "not-utf8": (b'{"agent": "\xff\xfe"}', "application/json"),
    "utf16": ('{"agent": "a"}'.encode("utf-16"), "application/json"),
    "no-json": (b"agent=a", "application/x-www-form-urlencoded"),
    "no-type": (b'{"agent": "a"}', ""),
    "xml": (b"<a/>", "application/xml"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "application/json"),
    "deep-object": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json"),
    "huge-number": (b'{"ttl_seconds": ' + b"9" * 5000 + b"}", "application/json"),
    "infinite": (b'{"ttl_seconds": 1e999}', "application/json"),
    "nan": (b'{"ttl_seconds": NaN}', "application/json"),
    "array": (b"[]", "application/json"),
    "null": (b"null", "application/json"),
    "text": (b'"x"', "application/json"),
    "nul": (_with_everywhere("\\u0000"), "application/json"),
    "surrogate": (_with_everywhere("\\ud800"), "application/json"),
    "twice": (b'{"agent": "a", "agent": 1, "fields": {}, "fields": 1}', "application/json"),
    "unknown-members": (b'{"__proto__": {}, "constructor": 1}', "application/json"),
}
VALUES = [
    "\x00",
    "a\x00b",
    "\ufffd",
    "9" * 400,
    "-1",
    "1e309",
    "../etc/passwd",
    "%00",
    "' OR 1=1 --",
    "\N{SNOWMAN}" * 300,
]


@pytest.fixture(scope="module")
def running_site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with site_of(folder, module_database, keybearer_sandbox_server, PUBLIC_DOCS="true") as site:
        yield site


@pytest.fixture
def caller(site: Site, browser: Browser) -> Browser:
    site.sign_in(browser)
    return browser


def operations(browser: Browser) -> list[tuple[str, str, dict[str, Any]]]:
    document = browser.get("/api/openapi.json").raise_for_status().json()
    found = [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "proxy" not in path and path != "/api/events"
    ]
    assert len(found) > 20
    return found


def filled(path: str, value: str) -> str:
    """The path with something in each of its places."""
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + value + rest.partition("}")[2]
    return path


def check(answer: httpx2.Response, where: str) -> None:
    assert answer.status_code < 500, f"{where}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code >= 400:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json", where
        assert problem["status"] == answer.status_code, where
        assert problem["code"], where
        assert problem["detail"].endswith((".", "}")), (where, problem["detail"])
        assert problem["request_id"] == answer.headers["x-request-id"], where
        assert problem["type"].endswith("#" + problem["code"]), where
    assert "traceback" not in answer.text.lower(), where


@pytest.mark.parametrize("name", BODIES)
def test_no_body_breaks_a_route(site: Site, caller: Browser, name: str) -> None:
    body, content_type = BODIES[name]
    headers = {"content-type": content_type} if content_type else {}
    for method, path, operation in operations(caller):
        if "requestBody" not in operation:
            continue
        for segment in ("spotify", str(uuid4()), "salesforce", "oidc"):
            where = f"{method} {path} ({segment}) {name}"
            answer = caller.client.request(method, filled(path, segment), content=body, headers=headers)
            check(answer, where)
            assert answer.status_code >= 400, where


def test_no_path_or_query_breaks_a_route(site: Site, caller: Browser) -> None:
    for method, path, operation in operations(caller):
        if method != "GET" and path in {"/api/auth/logout", "/api/auth/me", "/api/auth/sessions"}:
            continue
        names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"] or ["x"]
        for value in VALUES:
            segment = httpx2.URL("http://x/", params={"v": value}).query.decode().partition("=")[2].replace("+", "%20")
            query = "&".join(f"{name}={segment}" for name in names)
            twice = "&".join(f"{name}={segment}&{name}=2" for name in names)
            named, known = filled(path, "google"), filled(path, str(uuid4()))
            for target in (filled(path, segment), f"{named}?{query}", f"{known}?{twice}"):
                body = {"json": {}} if "requestBody" in operation else {}
                check(caller.client.request(method, target, **body), f"{method} {target[:200]}")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "PUT", "PATCH"])
def test_no_method_breaks_a_route(caller: Browser, method: str) -> None:
    described = operations(caller)
    for path in {path for _, path, _ in described}:
        if method in {each for each, other, _ in described if other == path}:
            continue
        answer = caller.client.request(method, filled(path, str(uuid4())))
        assert answer.status_code in {404, 405}, (method, path, answer.status_code)
        if method != "HEAD":
            check(answer, f"{method} {path}")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_too_large(caller: Browser, chunked: bool) -> None:
    big = json.dumps({"agent": "a" * 1_100_000}).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(big), 65536):
            yield big[start : start + 65536]

    for method, path, operation in operations(caller):
        if "requestBody" not in operation:
            continue
        headers = {"content-type": "application/json"}
        content = pieces() if chunked else big
        answer = caller.client.request(method, filled(path, "spotify"), content=content, headers=headers)
        check(answer, path)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), path


def test_headers_over_the_limit_are_too_large(caller: Browser) -> None:
    for headers in ({"x-a": "a" * 33_000}, {f"x-{n}": "a" * 500 for n in range(70)}, {"cookie": "a=" + "b" * 33_000}):
        answer = caller.get("/api/auth/sessions", headers=headers)
        check(answer, "headers")
        assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize("name", ["host", "authorization", "content-length"])
def test_a_header_that_must_be_single_is(site: Site, name: str) -> None:
    value = {"host": f"localhost:{site.port}", "authorization": "Bearer x", "content-length": "2"}[name]
    lines = [f"Host: localhost:{site.port}", f"{name}: {value}"] + ([f"{name}: {value}"] if name != "host" else [])
    answer = raw(site, "POST /api/auth/logout HTTP/1.1", lines, b"{}")
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET http://evil.test/api/health HTTP/1.1", 200),
        ("GET http://evil.test/api/auth/me HTTP/1.1", 401),
        ("GET //evil.test/api HTTP/1.1", 404),
        ("GET /api/../api/auth/me HTTP/1.1", 404),
        ("GET /api/auth/%6de HTTP/1.1", 401),
        ("GET /api/auth/me%00 HTTP/1.1", 404),
        ("GET /api/auth/me%0d%0aset-cookie:x=1 HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("CONNECT evil.test:443 HTTP/1.1", 400),
        ("GET /api/\xff\xfe HTTP/1.1", 404),
        ("NONSENSE", 400),
        ("GET /api HTTP/9.9", 400),
    ],
)
def test_odd_request_lines(site: Site, request_line: str, status: int) -> None:
    answer = raw(site, request_line, [f"Host: localhost:{site.port}", "Connection: close"])
    found = int(answer.split(b" ", 2)[1])
    assert found < 500, answer[:200]
    assert found in {status, 400, 404}, answer[:200]
    assert b"set-cookie" not in answer.lower()


def test_two_lengths_do_not_hide_a_second_request(site: Site) -> None:
    """Request smuggling: a length and chunks at once, as proxies in front may read the other one."""
    lines = [f"Host: localhost:{site.port}", "Content-Length: 4", "Transfer-Encoding: chunked"]
    answer = raw(site, "POST /api/auth/logout HTTP/1.1", lines, b"0\r\n\r\nGET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 4")


def test_a_strangers_answers_are_not_kept_anywhere(site: Site, caller: Browser) -> None:
    for method, path, _ in operations(caller):
        if method == "GET":
            answer = caller.get(filled(path, str(uuid4())))
            public = path.startswith("/.well-known/")  # keys and metadata, the same for everybody
            assert public or answer.headers["cache-control"] in {"no-store", "no-cache"}, path
            for name in ("x-content-type-options", "x-frame-options", "content-security-policy", "referrer-policy"):
                assert len(answer.headers.get_list(name)) == 1, (path, name)


def test_the_log_holds_no_crash_and_every_line_is_json(site: Site, caller: Browser) -> None:
    answer = caller.get("/api/nothing")
    deadline, mine = time.monotonic() + 10, None
    while mine is None:  # the line is written after the answer went out
        assert time.monotonic() < deadline, "the request was never logged"
        lines = log_lines_of(site)
        mine = next((each for each in lines if each.get("request_id") == answer.headers["x-request-id"]), None)
    assert not [each for each in lines if each["event"] in {"request.crashed", "background.failed"}]
    assert (mine["event"], mine["status"]) == ("request.answered", 404)


def raw(site: Site, request_line: str, lines: list[str], body: bytes = b"") -> bytes:
    """What a client library would never send."""
    head = "\r\n".join([request_line, *lines, "", ""]).encode("latin-1")
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as connection:
        connection.sendall(head + body)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received
