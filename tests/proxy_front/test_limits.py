"""How often, how much, and what a refusal looks like."""

import re
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from installation import free_port
from proxy_front.front import TEMPLATES, Answer, Front, front
from proxy_front.upstream import Upstream, plain, read_body

MIB = 1024 * 1024
ALICES = "kbg_" + "A" * 49
BOBS = "kbg_" + "B" * 49


@pytest.fixture
def limited(tmp_path, upstream: Upstream) -> Iterator[Front]:
    """With the limits as they come; a front of each test's own, so that nobody else uses them up."""
    with front(tmp_path, upstream.port, TRUSTED_PROXIES="127.0.0.1") as started:
        yield started


@pytest.fixture
def slow_to_refill(tmp_path, upstream: Upstream) -> Iterator[Front]:
    """Nothing comes back while a test runs, so that counts are exact."""
    with front(tmp_path, upstream.port, TRUSTED_PROXIES="127.0.0.1", REQUEST_LIMIT="1/minute") as started:
        yield started


def statuses(front: Front, count: int, target: str, **headers: str) -> Counter[int]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Counter(front.ask(target, headers=named).status for _ in range(count))


def check_problem(answer: Answer, status: int, code: str) -> None:
    body = answer.json()
    assert (answer.status, answer.one("Content-Type")) == (status, "application/problem+json")
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"].endswith(f"/docs/troubleshooting.md#{code}")
    assert body["request_id"] == answer.one("X-Request-Id")
    assert body["title"]
    assert body["detail"].endswith(".")
    assert answer.one("Cache-Control") == "no-store"
    assert answer.one("X-Frame-Options") == "DENY"


def test_ten_a_second_and_twenty_at_once(limited: Front, upstream: Upstream) -> None:
    found = [limited.ask("/api/auth/me") for _ in range(60)]
    refused = [each for each in found if each.status == HTTPStatus.TOO_MANY_REQUESTS]

    assert [each.status for each in found[:21]] == [200] * 21
    # A slow machine earns a few more while the sixty are sent.
    assert len(refused) >= 10
    assert len(upstream.seen) == 60 - len(refused)
    check_problem(refused[0], 429, "rate_limited")
    assert refused[0].one("Retry-After") == "1"
    assert refused[0].all("Keybearer-Error") == []


def test_the_limit_is_each_address_own(slow_to_refill: Front) -> None:
    assert statuses(slow_to_refill, 25, "/api/x", X_Forwarded_For="203.0.113.1") == {200: 21, 429: 4}
    assert statuses(slow_to_refill, 25, "/api/x", X_Forwarded_For="203.0.113.2") == {200: 21, 429: 4}


@pytest.mark.parametrize(
    "path", ["/", "/connections", "/assets/index-4f2a.js", "/api/events", "/.well-known/jwks.json", "/metrics"]
)
def test_pages_assets_and_live_updates_are_not_counted(slow_to_refill: Front, path: str) -> None:
    assert 429 not in statuses(slow_to_refill, 60, path)


def test_proxied_calls_are_counted_by_grant(slow_to_refill: Front) -> None:
    for grant in (ALICES, BOBS):
        found = statuses(slow_to_refill, 25, "/api/proxy/x/y", Authorization=f"Bearer {grant}")
        assert found == {200: 21, 429: 4}
    # However the scheme is written, it is the same grant.
    assert statuses(slow_to_refill, 3, "/api/proxy/x/y", Authorization=f"token  {BOBS}") == {429: 3}


def test_a_grant_is_counted_wherever_it_comes_from(slow_to_refill: Front) -> None:
    for number in range(21):
        address = f"203.0.113.{number}"
        assert statuses(slow_to_refill, 1, "/api/proxy/x/y", Authorization=f"Bearer {ALICES}", X_Forwarded_For=address)
    assert statuses(slow_to_refill, 1, "/api/proxy/x/y", Authorization=f"Bearer {ALICES}") == {429: 1}


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic YTpi", "Bearer kbg_short", "Bearer kbs_" + "A" * 49])
def test_who_brings_no_grant_is_counted_by_address(slow_to_refill: Front, authorization: str) -> None:
    assert statuses(slow_to_refill, 25, "/api/proxy/x/y", Authorization=authorization) == {200: 21, 429: 4}


def test_agents_can_tell_our_refusal_from_a_providers(slow_to_refill: Front) -> None:
    found = [slow_to_refill.ask("/api/proxy/x/y") for _ in range(22)]

    check_problem(found[-1], 429, "rate_limited")
    assert found[-1].one("Keybearer-Error") == "rate_limited"


@pytest.mark.parametrize("path", ["/api/auth/google/start", "/api/auth/my-oidc2/start?return_to=/x", "/api/auth/login"])
def test_five_sign_ins_a_minute(limited: Front, path: str) -> None:
    found = [limited.ask(path) for _ in range(7)]

    assert [each.status for each in found] == [200] * 5 + [429] * 2
    check_problem(found[-1], 429, "rate_limited")
    assert found[-1].one("Retry-After") == "12"


def test_coming_back_and_looking_around_are_no_sign_ins(limited: Front) -> None:
    statuses(limited, 6, "/api/auth/google/start")

    for path in ("/api/auth/google/callback?code=x", "/api/auth/providers", "/api/auth/me"):
        assert limited.ask(path).status == 200


@pytest.mark.parametrize(
    ("path", "allowed"), [("/api/grants", MIB), ("/api/auth/google/start", MIB), ("/api/proxy/x/y", 100 * MIB)]
)
def test_bodies_over_the_limit(plain_front: Front, upstream: Upstream, path: str, allowed: int) -> None:
    headers = {"Content-Length": str(allowed + 1), "Connection": "close"}
    answer = plain_front.ask(path, "POST", headers=headers)

    check_problem(answer, 413, "body_too_large")
    assert answer.all("Keybearer-Error") == (["body_too_large"] if "proxy" in path else [])
    assert not upstream.seen


def test_a_body_of_just_the_limit_passes(plain_front: Front, upstream: Upstream) -> None:
    lengths = []

    def script(seen, body, connection) -> bool:
        lengths.append(len(read_body(seen, body)))
        return plain()(seen, body, connection)

    upstream.script = script

    assert plain_front.ask("/api/grants", "POST", body=b"x" * MIB).status == 200
    assert lengths == [MIB]


def test_a_chunked_body_is_counted_while_it_comes(plain_front: Front) -> None:
    pieces = [b"%x\r\n" % 65_536 + b"x" * 65_536 + b"\r\n"] * 17
    answer = plain_front.ask("/api/grants", "POST", {"Transfer-Encoding": "chunked"}, b"".join([*pieces, b"0\r\n\r\n"]))

    assert (answer.status, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("target", "headers", "status", "code"),
    [
        ("/api/x", {"Cookie": "c" * 9000}, 431, "headers_too_large"),
        ("/api/x", {f"X-{n}": "v" * 4000 for n in range(12)}, 431, "headers_too_large"),
        ("/api/" + "x" * 9000, {}, 414, "http_414"),
        ("/api/%", {}, 400, "body_malformed"),
        ("nonsense", {}, 400, "body_malformed"),
        ("/api/x", {"Content-Length": "many"}, 400, "body_malformed"),
    ],
)
def test_what_cannot_be_read_is_a_problem_too(
    plain_front: Front, upstream: Upstream, target: str, headers: dict[str, str], status: int, code: str
) -> None:
    check_problem(plain_front.ask(target, headers=headers), status, code)
    assert not upstream.seen


def test_an_absent_backend_is_a_problem(tmp_path) -> None:
    with front(tmp_path, free_port()) as started:
        answer = started.ask("/api/x")
        assert started.ask("/").status == 200

    check_problem(answer, 502, "backend_unavailable")
    assert answer.one("Retry-After") == "5"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"])
def test_a_backend_that_hangs_up_or_says_too_much_is_a_problem(
    plain_front: Front, upstream: Upstream, answer: bytes
) -> None:
    def script(_seen, _body, connection) -> bool:
        connection.sendall(answer)
        return False

    upstream.script = script
    found = plain_front.ask("/api/proxy/x/y")

    check_problem(found, 502, "backend_unavailable")
    assert found.one("Keybearer-Error") == "backend_unavailable"


def test_every_problem_of_the_templates_is_shown_to_somebody() -> None:
    """The codes that these tests provoke; three would need minutes or a full disk, and one a whole Keybearer."""
    codes = set(re.findall(r"set \$code ([a-z0-9_]+);", (TEMPLATES / "problems.conf.template").read_text()))

    assert codes - {"http_408", "internal_error", "backend_timeout", "not_signed_in"} == {
        "body_malformed",
        "http_414",
        "headers_too_large",
        "not_found",
        "method_not_allowed",
        "body_too_large",
        "rate_limited",
        "backend_unavailable",
    }
