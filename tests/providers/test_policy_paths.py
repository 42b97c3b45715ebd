"""No path may be one thing to our rules and another to the server behind them."""

import posixpath
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from keybearer.kit.errors import BadInput
from keybearer.providers import policy

PIECES = st.sampled_from(
    [b"/", b".", b"..", b"%2e", b"%2E", b"%2f", b"%5C", b"\\", b"%00", b"%252e", b"%25", b"%c0%ae", b";x",
     b"%3b", b"%c3%a9", b"~", b"%7E", b":", b"@", b"a", b"%61", b"me", b"%", b"\xc3", b"\r", b" ", b"?", b"#",
     b"$", b"%24"]
)  # fmt: skip
PATHS = st.one_of(st.binary(max_size=40).map(lambda tail: b"/" + tail), st.lists(PIECES, max_size=12).map(b"".join))


def accepted(path: bytes) -> bool:
    try:
        return policy.canonical_path(path) == path
    except BadInput:
        return False


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"v1/me",
        b"/v1/../admin",
        b"/v1/..",
        b"/./v1",
        b"/v1/.",
        b"/v1/%2e%2e/admin",
        b"/v1/.%2E/admin",
        b"/v1/%252e%252e/admin",
        b"/v1/%c0%ae%c0%ae/admin",
        b"/v1/a%2fb",
        b"/v1/a%2Fb",
        b"/v1/a%252fb",
        b"/v1/a%5cb",
        b"/v1/a\\b",
        b"/v1/a%00",
        b"/v1/a\x00",
        b"/v1/a%0d%0aHost:x",
        b"/v1/a\r\nHost:x",
        b"/v1/a%7f",
        b"/v1//me",
        b"//evil.example/v1",
        b"/v1/me//",
        b"/v1/caf\xc3\xa9",
        b"/v1/a b",
        b"/v1/%",
        b"/v1/%2",
        b"/v1/%zz",
        b"/v1/me?x=1",
        b"/v1/me#x",
        b"/v1/me;a=b",
        b"/v1/%6de",
        b"/v1/%4De",
        b"/v1/%31",
        b"/" + b"a" * 9000,
        b"http://evil.example/v1/me",
    ],
)
def test_a_path_that_servers_could_read_differently_is_refused(path: bytes) -> None:
    with pytest.raises(BadInput) as refusal:
        policy.canonical_path(path)
    assert refusal.value.code == "path_refused"


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/v1/me",
        b"/v1/me/",
        b"/repos/o/r/contents/.github/workflows/ci.yml",
        b"/calendar/v3/calendars/alice%40example.com/events",
        b"/drive/root:/caf%C3%A9%20menu:/content",
        b"/v1.0/$batch",
        b"/a/...",
        b"/a/..b",
        b"/x~y/%7Ez",
        b"/q/100%25",
        b"/jira/a,b(c)'d'!*+=",
    ],
)
def test_an_honest_path_passes_unchanged(path: bytes) -> None:
    assert accepted(path)


@given(PATHS)
@example(b"/a/%2e%2e/b")
@example(b"/a/%25%32%65")
def test_decoding_an_accepted_path_any_number_of_times_moves_nowhere(path: bytes) -> None:
    if not accepted(path):
        return
    segments = path.count(b"/")
    while True:
        text = path.decode("latin-1")
        assert text.startswith("/")
        assert "\\" not in text
        assert not any(byte < 0x20 or byte == 0x7F for byte in path)
        assert posixpath.normpath(text) == ("/" + text.strip("/"))
        assert path.count(b"/") == segments
        decoded = unquote_to_bytes(path)
        if decoded == path:
            break
        path = decoded


@given(PATHS)
def test_an_accepted_path_has_one_spelling_of_every_letter_and_digit(path: bytes) -> None:
    if accepted(path):
        plain = {byte for byte in path if chr(byte).isalnum()}
        encoded = {int(part[:2], 16) for part in path.split(b"%")[1:]}
        letters = {byte for byte in encoded if chr(byte).isascii() and chr(byte).isalnum()}
        assert not letters
        assert all(byte < 0x80 for byte in plain)


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        (b"", None),
        (b"q=despacito&type=track", None),
        (b"keyword=a&monkey=b&keys=c", None),
        (b"q=access_token", None),
        (b"key=x", "key"),
        (b"KEY=x", "key"),
        (b"a=1&access_token=x", "access_token"),
        (b"%61ccess_token=x", "access_token"),
        (b"%61%63%63%65ss%5Ftoken=x", "access_token"),
        (b"%2561ccess_token=x", "access_token"),
        (b"Access_Token=x", "access_token"),
        (b"a=1;oauth_token=x", "oauth_token"),
        (b"oauth_token", "oauth_token"),
        (b"oauth_token[]=x", "oauth_token"),
        (b"oauth_token%5B0%5D=x", "oauth_token"),
        (b"+key=x", "key"),
        (b"%20key%00=x", "key"),
        (b"&&key=", "key"),
    ],
)
def test_a_query_brings_no_credential_of_its_own(query: bytes, refused: str | None) -> None:
    assert policy.refused_query(query) == refused


@given(
    st.sampled_from(["access_token", "key", "oauth_token"]),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=12, max_size=12),
    st.binary(max_size=10).filter(lambda value: b"&" not in value and b";" not in value),
)
def test_no_spelling_of_a_refused_key_passes(key: str, how: list[tuple[bool, bool]], value: bytes) -> None:
    spelled = "".join(
        f"%{ord(shown):02x}" if encode else shown
        for letter, (encode, upper) in zip(key, how, strict=False)
        for shown in [letter.upper() if upper else letter]
    )
    assert policy.refused_query(b"q=1&" + spelled.encode() + b"=" + value) == key
