"""The small rules that provider values carry with them."""

import copy
import pickle
from datetime import UTC, datetime

import pytest
from keybearer.providers.model import (
    ClientSecret,
    Credential,
    Endpoints,
    GrantLifetime,
    Provider,
    find_value,
    name_problem,
    split_scopes,
)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("google", True),
        ("a1", True),
        ("our-idp-2", True),
        ("a" * 32, True),
        ("a" * 33, False),
        ("a", False),
        ("1a", False),
        ("-a", False),
        ("Google", False),
        ("api_key", False),
        ("a/b", False),
        ("google\n", False),
        ("me", False),
        ("providers", False),
        ("email", False),
        ("passkeys", False),
    ],
)
def test_names(name: str, fits: bool) -> None:
    assert (name_problem(name) is None) is fits


@pytest.mark.parametrize(
    ("credential", "values", "header"),
    [
        (Credential(), {"access_token": "t"}, ("Authorization", "Bearer t")),
        (Credential("X-Key", "{api_key}"), {"api_key": "k"}, ("X-Key", "k")),
        (
            Credential(format="{username}:{password}", basic=True),
            {"username": "alice", "password": "pä"},
            ("Authorization", "Basic YWxpY2U6cMOk"),
        ),
        (Credential(format="Bearer {a}"), {"a": "{b}", "b": "no"}, ("Authorization", "Bearer {b}")),
    ],
)
def test_credentials_become_one_header(credential: Credential, values: dict[str, str], header: tuple[str, str]) -> None:
    assert credential.render(values) == header


@pytest.mark.parametrize("value", ["a\r\nHost: evil", "a\nb", "nul\0", "emoji 🙂", "tab\t"])
def test_a_credential_cannot_smuggle_a_header_and_never_shows_in_the_error(value: str) -> None:
    with pytest.raises(ValueError, match="no header can carry") as caught:
        Credential().render({"access_token": value})
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("lifetime", "consented", "ends"),
    [
        (GrantLifetime(months=6), (2026, 6, 18), (2026, 12, 18)),
        (GrantLifetime(months=6), (2026, 8, 31), (2027, 2, 28)),
        (GrantLifetime(months=6), (2027, 8, 31), (2028, 2, 29)),
        (GrantLifetime(months=1), (2026, 12, 31), (2027, 1, 31)),
        (GrantLifetime(days=365), (2026, 1, 1), (2027, 1, 1)),
    ],
)
def test_grant_lifetimes(lifetime: GrantLifetime, consented: tuple[int, int, int], ends: tuple[int, int, int]) -> None:
    assert lifetime.ends(datetime(*consented, 12, 30, tzinfo=UTC)) == datetime(*ends, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "paths", "value"),
    [
        ({"id": 7}, ("id",), 7),
        ({"a": {"b": "x"}}, ("a.b",), "x"),
        ({"images": [{"url": "u"}]}, ("images.0.url",), "u"),
        ({"images": []}, ("images.0.url",), None),
        ({"name": None, "login": "l"}, ("name", "login"), "l"),
        ({"name": "", "login": "l"}, ("name", "login"), "l"),
        ({"verified": False}, ("verified",), False),
        ({"a": {"b": 1}}, ("a",), None),
        ("text", ("a",), None),
        (None, ("a",), None),
        ({"a": 1}, (), None),
    ],
)
def test_find_value(document: object, paths: tuple[str, ...], value: object) -> None:
    assert find_value(document, paths) == value


@pytest.mark.parametrize(
    ("text", "scopes"),
    [("a b", ("a", "b")), ("a,b", ("a", "b")), ("repo, user ", ("repo", "user")), ("", ())],
)
def test_scopes_of_an_answer(text: str, scopes: tuple[str, ...]) -> None:
    assert split_scopes(text) == scopes


def test_a_client_secret_shows_only_when_asked() -> None:
    secret = ClientSecret("s3cret")
    assert secret.reveal() == "s3cret"
    assert "s3cret" not in f"{secret} {secret!r} {Provider('x', 'X', 'oauth2', client_secret=secret)}"
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(secret)


@pytest.mark.parametrize(
    ("issuer", "authorize", "expected"),
    [
        ("https://id.example", "https://login.example/x", "https://id.example"),
        (None, "https://login.example/x?y", "https://login.example/x"),
        (None, "https://login.example/y", "https://login.example/y"),
        (None, None, None),
    ],
)
def test_an_identity_has_an_issuer(issuer: str | None, authorize: str | None, expected: str | None) -> None:
    provider = Provider("x", "X", "oauth2", issuer=issuer, endpoints=Endpoints(authorize=authorize))
    assert provider.identity_issuer == expected


def test_the_callback_path_may_be_another() -> None:
    assert Provider("spotify", "S", "oauth2").callback == "/api/auth/spotify/callback"
    moved = Provider("spotify", "S", "oauth2", callback_path="/api/spotify/callback")
    assert moved.callback == "/api/spotify/callback"
