"""Headers upstream are an allow-list; headers back cannot act on our own origin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.providers import policy
from keybearer.providers.model import Credential, Headers, Provider

PLAIN = Provider("acme", "Acme", "oauth2")
NOTION = Provider(
    "notion",
    "Notion",
    "oauth2",
    headers=Headers(allow=frozenset({"notion-version"}), fixed={"Notion-Version": "2022-06-28"}),
)

SECRET_NAMES = [
    "Cookie", "Authorization", "Host", "Connection", "Keep-Alive", "Transfer-Encoding", "TE", "Trailer",
    "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Keybearer-Reason", "Keybearer-Connection",
    "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "X-HTTP-Method-Override", "Expect",
]  # fmt: skip
ALLOWED_NAMES = [
    "Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "Content-Length", "Content-Encoding",
    "Content-Language", "Content-Range", "If-Match", "If-None-Match", "If-Modified-Since", "Range",
]  # fmt: skip
TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=20)


def spelled(name: str) -> st.SearchStrategy[bytes]:
    choices = [st.sampled_from([letter.lower(), letter.upper()]) for letter in name]
    return st.tuples(*choices).map(lambda letters: "".join(letters).encode())


HEADERS = st.lists(
    st.tuples(
        st.one_of(TOKENS.map(str.encode), st.sampled_from(SECRET_NAMES + ALLOWED_NAMES).flatmap(spelled)),
        st.binary(max_size=20),
    ),
    max_size=15,
)


def names(headers: list[tuple[bytes, bytes]]) -> list[str]:
    return [name.decode() for name, _ in headers]


@pytest.mark.parametrize("name", ALLOWED_NAMES)
def test_what_describes_the_request_goes_upstream(name: str) -> None:
    assert policy.forwarded_request_headers([(name.encode(), b"x")], PLAIN) == [(name.lower().encode(), b"x")]


@pytest.mark.parametrize("name", [*SECRET_NAMES, "User-Agent", "X-Custom", "Origin", "Referer", "Sec-Fetch-Site"])
def test_everything_else_stays_here(name: str) -> None:
    assert policy.forwarded_request_headers([(name.encode(), b"x")], PLAIN) == []


@given(HEADERS)
def test_no_request_carries_more_than_the_list(headers: list[tuple[bytes, bytes]]) -> None:
    everything = Provider("x", "X", "oauth2", headers=Headers(allow=frozenset(map(str.lower, SECRET_NAMES))))
    for provider in (PLAIN, everything):
        sent = names(policy.forwarded_request_headers(headers, provider))
        assert not set(sent) & {name.lower() for name in SECRET_NAMES}
        assert not [name for name in sent if name.startswith(("keybearer-", "x-forwarded-", "proxy-"))]
        assert all(name == "range" or name.startswith(("accept", "content-", "if-")) for name in sent)


def test_the_catalogue_adds_headers_and_fixed_values() -> None:
    assert policy.forwarded_request_headers([], NOTION) == [(b"notion-version", b"2022-06-28")]
    assert policy.forwarded_request_headers([(b"Notion-Version", b"2025-09-03")], NOTION) == [
        (b"notion-version", b"2025-09-03")
    ]


def test_a_caller_cannot_send_the_header_that_carries_the_key() -> None:
    provider = Provider(
        "acme",
        "Acme",
        "api_key",
        headers=Headers(allow=frozenset({"x-api-key"})),
        credential=Credential(header="X-API-Key", format="{api_key}"),
    )
    assert policy.forwarded_request_headers([(b"x-api-key", b"mine")], provider) == []


def test_a_header_that_connection_names_goes_no_further() -> None:
    headers = [(b"Connection", b"close, If-Match"), (b"If-Match", b"1"), (b"Accept", b"*/*")]
    assert names(policy.forwarded_request_headers(headers, PLAIN)) == ["accept"]
    answer = [(b"connection", b"X-Inner"), (b"x-inner", b"1"), (b"etag", b"1")]
    assert "x-inner" not in names(policy.forwarded_answer_headers(answer))


ADDED = {"x-content-type-options": b"nosniff", "content-security-policy": b"sandbox"}


@pytest.mark.parametrize(
    "name",
    [
        "Set-Cookie", "Clear-Site-Data", "Strict-Transport-Security", "Access-Control-Allow-Origin",
        "Access-Control-Allow-Credentials", "Content-Security-Policy-Report-Only", "Keybearer-Error",
        "Connection", "Transfer-Encoding", "Upgrade", "Alt-Svc", "Refresh", "Service-Worker-Allowed", "Keep-Alive",
    ],
)  # fmt: skip
def test_an_answer_cannot_act_on_our_origin(name: str) -> None:
    assert set(names(policy.forwarded_answer_headers([(name.encode(), b"x")]))) == set(ADDED)


@given(st.lists(st.tuples(st.sampled_from(list(ADDED)).flatmap(spelled), st.binary(max_size=9)), max_size=4))
def test_what_we_add_is_there_once_and_ours(headers: list[tuple[bytes, bytes]]) -> None:
    answer = policy.forwarded_answer_headers(headers)
    assert sorted(names(answer)) == sorted(ADDED)
    assert {name.decode(): value for name, value in answer} == ADDED


@pytest.mark.parametrize("name", ["Content-Type", "ETag", "Location", "Retry-After", "Link", "X-RateLimit-Remaining"])
def test_what_the_caller_needs_passes(name: str) -> None:
    assert (name.lower().encode(), b"x") in policy.forwarded_answer_headers([(name.encode(), b"x")])


@pytest.mark.parametrize(("challenge", "passes"), [(b'Bearer error="x"', True), (b"Basic realm=x", False)])
def test_no_answer_makes_a_browser_ask_for_a_password(challenge: bytes, passes: bool) -> None:
    answer = policy.forwarded_answer_headers([(b"WWW-Authenticate", challenge)])
    assert ("www-authenticate" in names(answer)) is passes
