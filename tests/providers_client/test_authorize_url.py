"""The address that a person is sent to."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.kit.errors import Conflict
from keybearer.providers import oauth
from keybearer.providers.model import Identity, Provider

PLAIN = Provider(name="acme", title="Acme", auth="oauth2", client_id="our-client")
WANTED = {
    "redirect_uri": "https://us.example.com/api/auth/acme/callback",
    "state": "s",
    "nonce": None,
    "code_challenge": "challenge",
    "scopes": ("a", "b"),
    "connecting": True,
}


def query(provider: Provider, endpoint: str = "https://acme.example.com/authorize", **wanted) -> dict[str, str]:
    url = oauth.authorize_url(endpoint, provider, **{**WANTED, **wanted})
    pairs = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_asks_for_a_code_with_state_and_pkce() -> None:
    assert query(PLAIN) == {
        "response_type": "code",
        "client_id": "our-client",
        "redirect_uri": WANTED["redirect_uri"],
        "state": "s",
        "scope": "a b",
        "code_challenge": "challenge",
        "code_challenge_method": "S256",
    }


@pytest.mark.parametrize(
    ("changes", "wanted", "expected"),
    [
        ({}, {"nonce": "n"}, {"nonce": "n"}),
        ({}, {"login_hint": "a@example.com"}, {"login_hint": "a@example.com"}),
        ({"scope_separator": ","}, {}, {"scope": "a,b"}),
        ({"scope_param": "user_scope"}, {}, {"user_scope": "a b", "scope": None}),
        ({}, {"scopes": ()}, {"scope": None}),
        ({"pkce": "none"}, {}, {"code_challenge": None, "code_challenge_method": None}),
        ({}, {"code_challenge": None}, {"code_challenge": None, "code_challenge_method": None}),
        ({"authorize_params": {"owner": "user"}}, {}, {"owner": "user"}),
        ({"authorize_params": {"prompt": "a"}, "incremental": {"prompt": "b"}}, {}, {"prompt": "b"}),
        ({"incremental": {"more": "1"}}, {"connecting": False}, {"more": None}),
        (
            {"authorize_params": {"prompt": "a"}, "sign_in_params": {"prompt": "c"}},
            {"connecting": False},
            {"prompt": "c"},
        ),
        ({"sign_in_params": {"prompt": "c"}}, {}, {"prompt": None}),
        (
            {"authorize_params": {"state": "x", "redirect_uri": "x", "code_challenge": "x", "scope": "x"}},
            {},
            {"state": "s", "redirect_uri": WANTED["redirect_uri"], "code_challenge": "challenge", "scope": "a b"},
        ),
    ],
)
def test_variations(changes, wanted, expected: dict[str, str | None]) -> None:
    given = query(replace(PLAIN, **changes), **wanted)
    assert {name: given.get(name) for name in expected} == expected


def test_keeps_a_query_that_the_endpoint_has() -> None:
    assert query(PLAIN, "https://acme.example.com/authorize?tenant=1")["tenant"] == "1"


def test_needs_a_client() -> None:
    with pytest.raises(Conflict) as refused:
        query(replace(PLAIN, client_id=None, missing=("client_id",)))
    assert refused.value.code == "provider_not_configured"
    assert "client_id" in refused.value.detail


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.text(min_size=1, alphabet="ab&=#?/ %+ü"))
def test_whatever_state_and_redirect_uri_hold_comes_back_as_it_was(state: str, redirect_uri: str) -> None:
    found = query(PLAIN, state=state, redirect_uri=redirect_uri)
    assert (found["state"], found["redirect_uri"]) == (state, redirect_uri)


async def test_asks_for_what_the_accounts_name_needs(provider, providers) -> None:
    given = replace(provider, sign_in_scopes=("profile",))
    url = await providers.authorize_url(given, **{**WANTED, "scopes": ("mail",)})
    assert dict(parse_qsl(urlsplit(url).query))["scope"] == "mail profile"
    from_token = replace(given, identity=Identity(source="token", subject=("id",)))
    url = await providers.authorize_url(from_token, **{**WANTED, "scopes": ("mail",)})
    assert dict(parse_qsl(urlsplit(url).query))["scope"] == "mail"


async def test_only_an_openid_provider_is_sent_a_nonce(provider, providers) -> None:
    url = await providers.authorize_url(provider, **{**WANTED, "nonce": "n"})
    assert "nonce" not in url
