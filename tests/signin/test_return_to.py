"""`return_to` leads back to a page of ours, however a browser reads it."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from installation import Browser, Installation
from keybearer.kit.errors import BadInput
from keybearer.signin.model import local_path
from signin.site import consent, problem, start

ORIGIN = "http://localhost:8080"
_TRICKY = [
    "/",
    "\\",
    ".",
    "..",
    "//",
    "@",
    ":",
    "?",
    "#",
    "%2f",
    "%5c",
    "\t",
    "\n",
    "\r",
    "\0",
    " ",
    "evil.test",
    "é",
    "ﹰ",
]


def resolved_origin(reference: str, base: str = ORIGIN) -> str:
    """The origin that a browser lands on, by the URL Standard's parser for special schemes (sections 4.1 and 4.4).

    It strips C0 controls and spaces at the ends, drops tabs and line breaks anywhere, reads a backslash as a slash,
    and takes any number of slashes beyond two as two.
    """
    text = reference.strip("".join(map(chr, range(0x21))))
    text = "".join(character for character in text if character not in "\t\n\r").replace("\\", "/")
    scheme = urlsplit(base).scheme
    head, separator, rest = text.partition(":")
    if separator and head and head[0].isalpha() and all(c.isalnum() or c in "+-." for c in head):
        if head.lower() not in {"http", "https"}:
            return f"{head.lower()}:"
        if head.lower() == scheme and not rest.startswith("/"):
            return base
        scheme, text = head.lower(), "//" + rest.lstrip("/")
    if not text.startswith("//"):
        return base
    authority = text.lstrip("/")
    for end in "/?#":
        authority = authority.partition(end)[0]
    return f"{scheme}://{authority.rpartition('@')[2].lower()}"


@pytest.mark.parametrize(
    ("reference", "origin"),
    [
        ("/a", ORIGIN),
        ("//evil.test/x", "http://evil.test"),
        ("/\\evil.test", "http://evil.test"),
        ("/\t/evil.test", "http://evil.test"),
        ("\n//evil.test", "http://evil.test"),
        ("https:evil.test", "https://evil.test"),
        ("http:evil.test", ORIGIN),
        ("javascript:alert(1)", "javascript:"),
        ("//localhost:8080@evil.test", "http://evil.test"),
        ("/..//evil.test", ORIGIN),
    ],
)
def test_the_resolver_reads_as_browsers_do(reference: str, origin: str) -> None:
    assert resolved_origin(reference) == origin


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(_TRICKY), max_size=8).map("".join)))
@example("/\\evil.test")
@example("//evil.test")
@example("/\t/evil.test")
@example("/\x0b/evil.test")
@example("/%09/evil.test")
@example("/.//evil.test")
@example("https:evil.test")
@example("/" * 600)
def test_whatever_is_accepted_stays_here(value: str) -> None:
    try:
        accepted = local_path(value)
    except BadInput:
        return
    assert accepted == value
    assert len(value) <= 512
    assert resolved_origin(accepted) == ORIGIN
    assert not any(ord(character) < 0x21 or ord(character) > 0x7E for character in accepted)


@given(
    st.from_regex(r"/([a-z0-9~_.-]{1,8}/){0,4}[a-z0-9-]{1,8}(\?[a-z]=[a-z0-9%+]{1,8})?(#[a-z]{1,8})?", fullmatch=True)
)
def test_every_page_of_ours_is_accepted(page: str) -> None:
    assert local_path(page) == page


@pytest.mark.parametrize("page", ["/agents?after=x&limit=2#top", "/a%2Fb", "/", "/connections?problem=a|b^c`d{e}"])
def test_the_browser_is_led_back_to_its_page(site: Installation, browser: Browser, page: str) -> None:
    location = browser.get(consent(site, start(browser, return_to=page))).headers["location"]
    assert resolved_origin(location) == ORIGIN
    assert location.split("|")[0].startswith(page.split("|", maxsplit=1)[0])


@pytest.mark.parametrize(
    "page", ["//evil.test", "/\\evil.test", "https://evil.test", "/a\r\nset-cookie: x=1", "", "x" * 600]
)
def test_no_other_page_begins_a_flow(browser: Browser, page: str) -> None:
    answer = browser.get("/api/auth/google/start", params={"return_to": page})
    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers


@pytest.mark.parametrize("page", ["//evil.test", "/\\evil.test", "javascript:alert(1)"])
def test_a_connection_leads_back_here_too(site: Installation, browser: Browser, page: str) -> None:
    site.sign_in(browser)
    answer = browser.post("/api/connections/spotify/start", json={"return_to": page})
    assert (answer.status_code, answer.json()["code"]) == (422, "return_to_invalid")


def test_a_failure_keeps_where_the_person_was_going(site: Installation, browser: Browser) -> None:
    answer = browser.get(consent(site, start(browser, return_to="/agents"), deny=True))
    assert problem(answer) == "consent_denied"
    assert answer.headers["location"].endswith("return_to=%2Fagents")
