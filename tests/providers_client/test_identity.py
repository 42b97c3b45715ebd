"""Who someone is, from each kind of answer; and what is made of answers that are odd or hostile."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.kit.errors import Unavailable
from keybearer.providers.errors import IdentityInvalid
from keybearer.providers.identity_answer import read_identity
from keybearer.providers.model import Identity, Provider
from keybearer.providers.tokens import TokenAnswer
from starlette.responses import Response

ANSWER = TokenAnswer(access_token="planted-access-token")
PERSON = {
    "id": 42,
    "email": "alice@example.com",
    "verified": True,
    "name": "Alice",
    "images": [{"url": "https://pictures.example.com/alice.png"}],
}
ASKED = Identity(
    source="userinfo",
    subject=("id",),
    email=("email",),
    email_verified=("verified",),
    name=("name", "login"),
    avatar=("picture",),
)
PLAIN = Provider(name="acme", title="Acme", auth="oauth2", identity=ASKED, account_name=("login",))


async def test_asks_userinfo_with_the_token(fake, provider, providers) -> None:
    fake.says("/me", PERSON)
    found = await providers.identify(provider, ANSWER, nonce=None)
    assert (found.issuer, found.subject) == (f"{fake.url}/authorize", "42")
    assert (found.email, found.email_verified, found.name) == ("alice@example.com", True, "Alice")
    assert found.avatar_url == "https://pictures.example.com/alice.png"
    assert fake.asked[0].headers["authorization"] == "Bearer planted-access-token"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b"{}"),
        (403, b'{"id": 42}'),
        (404, b""),
        (302, b""),
        (200, b""),
        (200, b"[]"),
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, b'{"name": "Alice"}'),
        (200, b'{"id": true}'),
        (200, b'{"id": ""}'),
        (200, b'{"id": {"a": 1}}'),
        (200, b'{"id": "a\\u0000b"}'),
        (200, b'{"id": "\\ud800"}'),
        (200, b'{"id": "' + b"x" * 256 + b'"}'),
        (200, b" " * 300_000),
    ],
)
async def test_an_answer_that_names_nobody(fake, provider, providers, status: int, body: bytes) -> None:
    fake.replies["/me"] = Response(body, status)
    with pytest.raises(IdentityInvalid) as refused:
        await providers.identify(provider, ANSWER, nonce=None)
    assert refused.value.code == "provider_error"
    assert "planted" not in repr(refused.value)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_provider_that_is_away(fake, provider, providers, status: int) -> None:
    fake.replies["/me"] = Response("{}", status)
    with pytest.raises(Unavailable) as refused:
        await providers.identify(provider, ANSWER, nonce=None)
    assert refused.value.code == "provider_unavailable"


async def test_a_provider_that_cannot_be_reached(fake, provider, providers) -> None:
    await fake.stop()
    with pytest.raises(Unavailable):
        await providers.identify(provider, ANSWER, nonce=None)


async def test_fixed_headers_go_along(fake, provider, providers) -> None:
    fake.says("/me", PERSON)
    given = replace(provider, headers=replace(provider.headers, fixed={"Acme-Version": "7"}))
    await providers.identify(given, ANSWER, nonce=None)
    assert fake.asked[0].headers["acme-version"] == "7"


@pytest.mark.parametrize(
    ("emails", "status", "email", "verified"),
    [
        ([{"email": "a@x.com", "primary": True, "verified": True}], 200, "a@x.com", True),
        ([{"email": "a@x.com", "primary": True, "verified": False}], 200, "a@x.com", False),
        ([{"email": "a@x.com", "primary": True, "verified": "yes"}], 200, "a@x.com", False),
        (
            [
                {"email": "old@x.com", "primary": False, "verified": True},
                {"email": "a@x.com", "primary": True, "verified": True},
            ],
            200,
            "a@x.com",
            True,
        ),
        ([{"email": "old@x.com", "primary": False, "verified": True}], 200, "alice@example.com", False),
        ([7, {"primary": True}, {"email": 7, "primary": True}], 200, "alice@example.com", False),
        ({"message": "no"}, 200, "alice@example.com", False),
        ([], 404, "alice@example.com", False),
    ],
)
async def test_the_primary_address(fake, provider, providers, emails, status, email, verified) -> None:
    given = replace(
        provider,
        quirks=frozenset({"emails_endpoint"}),
        endpoints=replace(provider.endpoints, emails=f"{fake.url}/emails"),
    )
    fake.says("/me", {name: value for name, value in PERSON.items() if name != "verified"})
    fake.says("/emails", emails, status)
    found = await providers.identify(given, ANSWER, nonce=None)
    assert (found.email, found.email_verified) == (email, verified)


async def test_userinfo_as_graphql(fake, provider, providers) -> None:
    fake.says("/me", {"data": {"viewer": {"id": "u1", "email": "alice@example.com"}}})
    asked = Identity(source="userinfo", subject=("data.viewer.id",), email=("data.viewer.email",))
    given = replace(provider, quirks=frozenset({"userinfo_graphql"}), identity=asked)
    assert (await providers.identify(given, ANSWER, nonce=None)).subject == "u1"
    assert fake.asked[0].method == "POST"
    assert "viewer" in fake.asked[0].json()["query"]


async def test_userinfo_as_a_post_without_a_body(fake, provider, providers) -> None:
    fake.says("/me", PERSON)
    given = replace(provider, quirks=frozenset({"userinfo_post"}))
    await providers.identify(given, ANSWER, nonce=None)
    assert (fake.asked[0].method, fake.asked[0].body) == ("POST", b"")
    assert "content-type" not in fake.asked[0].headers


async def test_an_identity_in_the_token_answer(provider, providers) -> None:
    given = replace(
        provider,
        identity=Identity(source="token", subject=("authed_user.id",)),
        account_name=("team.name",),
    )
    answer = TokenAnswer(access_token="t", about={"authed_user": {"id": "U1"}, "team": {"name": "Wonderland"}})
    found = await providers.identify(given, answer, nonce=None)
    assert (found.subject, found.account_name) == ("U1", "Wonderland")


async def test_a_provider_that_names_nobody_has_one_account(provider, providers) -> None:
    found = await providers.identify(replace(provider, identity=None, account_name=()), ANSWER, nonce=None)
    assert (found.subject, found.account_name, found.email) == ("acme", "Acme", None)


async def test_openid_without_a_token_is_refused(provider, providers) -> None:
    given = replace(provider, identity=replace(ASKED, source="id_token"), issuer="https://acme.example.com")
    with pytest.raises(IdentityInvalid) as refused:
        await providers.identify(given, ANSWER, nonce="n")
    assert (refused.value.code, refused.value.reason) == ("id_token_invalid", "missing")


def read(document: dict[str, object], **changes: object):
    return read_identity(replace(PLAIN, **changes), ASKED, document, "issuer")


@pytest.mark.parametrize(
    ("email", "kept"),
    [
        ("alice@example.com", True),
        ('"a@b"@example.com', True),
        ("alice", False),
        ("@example.com", False),
        ("alice@", False),
        ("alice @example.com", False),
        ("alice@example.com\r\nBcc: x@example.com", False),
        ("a" * 320 + "@example.com", False),
        (7, False),
        (["alice@example.com"], False),
    ],
)
def test_addresses(email: object, kept: bool) -> None:
    found = read({"id": 1, "email": email, "verified": True})
    assert found.email == (email if kept else None)
    assert found.email_verified is kept


@pytest.mark.parametrize(
    ("said", "verified"),
    [(True, True), ("true", True), (False, False), ("false", False), (1, False), ("yes", False), (None, False)],
)
def test_only_a_clear_yes_is_verified(said: object, verified: bool) -> None:
    assert read({"id": 1, "email": "a@example.com", "verified": said}).email_verified is verified


@pytest.mark.parametrize(
    ("picture", "kept"),
    [
        ("https://x.example.com/a.png", True),
        ("http://x.example.com/a.png", False),
        ("javascript:alert(1)", False),
        ("data:image/png;base64,AAAA", False),
        ('https://x/" onerror="alert(1)', False),
        ("https://x/<script>", False),
        ("https://x/" + "a" * 2000, False),
    ],
)
def test_pictures(picture: str, kept: bool) -> None:
    assert read({"id": 1, "picture": picture}).avatar_url == (picture if kept else None)


@pytest.mark.parametrize(
    ("document", "name", "account_name"),
    [
        ({"id": 1, "name": "Alice", "login": "al", "email": "a@example.com"}, "Alice", "al"),
        ({"id": 1, "login": "al"}, "al", "al"),
        ({"id": 1, "email": "a@example.com"}, "a@example.com", "a@example.com"),
        ({"id": 1}, "1", "1"),
        ({"id": 1, "name": " \u202eecilA\x00 "}, "ecilA", "ecilA"),
        ({"id": 1, "name": "\x00"}, "1", "1"),
        ({"id": 1, "name": "x" * 1000}, "x" * 200, "x" * 200),
    ],
)
def test_names(document: dict[str, object], name: str, account_name: str) -> None:
    found = read(document)
    assert (found.name, found.account_name) == (name, account_name)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["id", "email", "name", "verified", "picture", "login"]), _JSON))
def test_any_document_is_somebody_or_nobody(document: dict[str, object]) -> None:
    document = json.loads(json.dumps(document))
    try:
        found = read(document)
    except IdentityInvalid:
        return
    shown = [found.subject, found.name, found.account_name, found.email or "", found.avatar_url or ""]
    assert all(text.isprintable() and len(text) <= 2000 for text in shown)
    assert found.name
    assert found.account_name
