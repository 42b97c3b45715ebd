"""How a disconnect is told to a provider, in each of the ways that providers ask for."""

import base64
from dataclasses import replace

import pytest
from keybearer.providers.model import Revocation
from starlette.responses import Response

TOKENS = {"access_token": "planted/access token", "refresh_token": "planted-refresh"}
BASIC = "Basic " + base64.b64encode(b"our-client:planted-client-secret").decode()


@pytest.mark.parametrize(
    ("changes", "method", "path", "query", "form", "authorization"),
    [
        ({}, "POST", "/revoke", {}, {"token": "planted-refresh"}, None),
        ({"token": "access_token"}, "POST", "/revoke", {}, {"token": "planted/access token"}, None),
        ({"client_auth": "basic"}, "POST", "/revoke", {}, {"token": "planted-refresh"}, BASIC),
        (
            {"client_auth": "post"},
            "POST",
            "/revoke",
            {},
            {"token": "planted-refresh", "client_id": "our-client", "client_secret": "planted-client-secret"},
            None,
        ),
        (
            {"token": "access_token", "send": "query", "key": "t", "method": "DELETE"},
            "DELETE",
            "/revoke",
            {"t": "planted/access token"},
            {},
            None,
        ),
        ({"send": "bearer"}, "POST", "/revoke", {}, {}, "Bearer planted-refresh"),
        (
            {"send": "path", "url": "{url}/clients/{client_id}/tokens/{token}"},
            "POST",
            "/clients/our-client/tokens/planted-refresh",
            {},
            {},
            None,
        ),
    ],
)
async def test_tells_it(fake, provider, providers, changes, method, path, query, form, authorization) -> None:
    changes = {"url": "{url}/revoke", **changes}
    changes["url"] = changes["url"].replace("{url}", fake.url)
    fake.replies[path] = Response(status_code=200)
    assert await providers.revoke(replace(provider, revoke=Revocation(**changes)), **TOKENS)
    asked = fake.asked[0]
    assert (asked.method, asked.path, asked.query, asked.form) == (method, path, query, form)
    assert asked.headers.get("authorization") == authorization


async def test_tells_it_in_json(fake, provider, providers) -> None:
    revocation = Revocation(
        url=f"{fake.url}/applications/{{client_id}}/grant",
        method="DELETE",
        token="access_token",
        send="json",
        key="access_token",
        client_auth="basic",
    )
    fake.replies["/applications/our-client/grant"] = Response(status_code=204)
    assert await providers.revoke(replace(provider, revoke=revocation), **TOKENS)
    assert fake.asked[0].json() == {"access_token": "planted/access token"}
    assert fake.asked[0].headers["authorization"] == BASIC


@pytest.mark.parametrize(
    ("wanted", "access", "refresh", "sent"),
    [
        ("refresh_token", "a", "r", "r"),
        ("refresh_token", "a", None, "a"),
        ("refresh_token", None, None, None),
        ("access_token", "a", "r", "a"),
        ("access_token", None, "r", None),
    ],
)
async def test_which_token(fake, provider, providers, wanted, access, refresh, sent) -> None:
    fake.replies["/revoke"] = Response(status_code=200)
    given = replace(provider, revoke=Revocation(url=f"{fake.url}/revoke", token=wanted))
    confirmed = await providers.revoke(given, access_token=access, refresh_token=refresh)
    assert confirmed is (sent is not None)
    assert [one.form.get("token") for one in fake.asked] == ([sent] if sent else [])


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500])
async def test_a_refusal_is_no_error_of_ours(fake, provider, providers, status: int) -> None:
    fake.replies["/revoke"] = Response(status_code=status)
    given = replace(provider, revoke=Revocation(url=f"{fake.url}/revoke"))
    assert not await providers.revoke(given, **TOKENS)


async def test_a_refusal_with_200_is_one(fake, provider, providers) -> None:
    fake.says("/revoke", {"ok": False, "error": "not_authed"})
    given = replace(provider, revoke=Revocation(url=f"{fake.url}/revoke"), quirks=frozenset({"error_with_200"}))
    assert not await providers.revoke(given, **TOKENS)


async def test_a_provider_that_is_away_is_no_error_of_ours(fake, provider, providers, caplog, capsys) -> None:
    await fake.stop()
    given = replace(provider, revoke=Revocation(url=f"{fake.url}/revoke", send="query"))
    assert not await providers.revoke(given, **TOKENS)
    printed = capsys.readouterr()
    assert "planted" not in caplog.text + printed.out + printed.err


async def test_nothing_to_tell(fake, provider, providers) -> None:
    assert not await providers.revoke(provider, **TOKENS)
    assert not fake.asked


async def test_the_endpoint_that_discovery_names(fake, provider, providers) -> None:
    path = "/.well-known/openid-configuration"
    fake.says(path, {"issuer": fake.url, "revocation_endpoint": f"{fake.url}/rfc7009"})
    fake.replies["/rfc7009"] = Response(status_code=200)
    given = replace(provider, issuer=fake.url, discovery=fake.url + path, token_auth="basic")
    assert await providers.revoke(given, **TOKENS)
    assert fake.asked[-1].headers["authorization"] == BASIC
    await fake.stop()
    assert not await providers.revoke(replace(given, name="other"), **TOKENS)
