"""The page that a person sees: what it says, what it sends, and what it must not let in."""

from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

import pytest

PROVIDERS = {"google": "openid email", "spotify": "user-read-email", "github": "repo", "oidc": "openid"}


class Page(HTMLParser):
    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(body.decode())

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and wanted.items() <= a.items()]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_form_sends_what_a_script_would(sandbox, provider) -> None:
    url = urlsplit(sandbox.authorize_url(provider, PROVIDERS[provider], state="s", nonce="n"))
    page = Page(sandbox.request("GET", f"{url.path}?{url.query}").body)
    assert page.all("form") == [{"method": "get"}]
    accounts = [a["value"] for a in page.all("input", type="radio", name="sandbox_account")]
    assert accounts == [f"{name}@example.com" for name in ("alice", "bob", "carol", "dora")]
    decisions = [b["value"] for b in page.all("button", type="submit", name="sandbox_decision")]
    assert decisions == ["allow", "deny"]
    hidden = {a["name"]: a["value"] for a in page.all("input", type="hidden")}
    for decision, outcome in (("allow", "code=sbx_code_"), ("deny", "error=access_denied")):
        sent = urlencode({**hidden, "sandbox_account": "bob@example.com", "sandbox_decision": decision})
        location = sandbox.request("GET", f"{url.path}?{sent}").headers["location"]
        assert outcome in location
        assert "state=s" in location


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_page_says_what_it_is_and_runs_nothing(sandbox, provider) -> None:
    url = urlsplit(sandbox.authorize_url(provider, PROVIDERS[provider]))
    answer = sandbox.request("GET", f"{url.path}?{url.query}")
    page = Page(answer.body)
    assert "Sandbox" in page.text
    assert page.all("html", lang="en")
    assert not page.all("script")
    assert not page.all("style")
    assert not [a for _, a in page.tags if "style" in a or any(name.startswith("on") for name in a)]
    assert "default-src 'none'; style-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    sheet = sandbox.request("GET", page.all("link", rel="stylesheet")[0]["href"])
    assert (sheet.status, sheet.headers["content-type"]) == (200, "text/css; charset=utf-8")


def test_a_hint_chooses_the_account(sandbox) -> None:
    url = urlsplit(sandbox.authorize_url("google", "openid", login_hint="Carol@Example.com"))
    page = Page(sandbox.request("GET", f"{url.path}?{url.query}").body)
    assert [a["value"] for a in page.all("input", type="radio") if "checked" in a] == ["carol@example.com"]


def test_nothing_from_the_request_becomes_markup(sandbox) -> None:
    evil = '"><script>alert(1)</script>'
    url = urlsplit(sandbox.authorize_url("google", "openid", state=evil, **{evil: evil}))
    consent = Page(sandbox.request("GET", f"{url.path}?{url.query}").body)
    assert not consent.all("script")
    assert consent.all("input", type="hidden", name="state", value=evil)
    broken = urlsplit(sandbox.authorize_url("google", evil))
    refusal = sandbox.request("GET", f"{broken.path}?{broken.query}")
    assert refusal.status == 400
    assert not Page(refusal.body).all("script")
