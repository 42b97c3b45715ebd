"""Discovery documents and key sets: checked, kept, shared, and used on while the provider is away."""

import asyncio
from dataclasses import replace

import pytest
from keybearer.kit.errors import Unavailable
from keybearer.providers.discovery import Discovery
from keybearer.providers.model import Endpoints, Provider
from starlette.responses import Response

PATH = "/.well-known/openid-configuration"
DAY = 86_400
KEYS = {"keys": [{"kty": "RSA", "kid": "one"}]}


def document(fake, **changes: object) -> dict[str, object]:
    named = {
        "issuer": fake.url,
        "authorization_endpoint": f"{fake.url}/authorize",
        "token_endpoint": f"{fake.url}/token",
        "jwks_uri": f"{fake.url}/jwks",
        "id_token_signing_alg_values_supported": ["RS256", "HS256"],
    }
    return {name: value for name, value in {**named, **changes}.items() if value is not None}


@pytest.fixture
def openid(fake) -> Provider:
    return Provider(
        name="acme", title="Acme", auth="oauth2", issuer=fake.url, discovery=fake.url + PATH, client_id="our-client"
    )


@pytest.fixture
def discovery(fake, outbound, clock) -> Discovery:
    fake.says(PATH, document(fake))
    fake.says("/jwks", KEYS)
    return Discovery(outbound(fake.authority), monotonic=clock)


async def test_the_catalogues_endpoints_win(fake, openid, discovery) -> None:
    found = await discovery.metadata(replace(openid, endpoints=Endpoints(token="https://tokens.example.com/")))
    assert found.token == "https://tokens.example.com/"
    assert found.authorize == f"{fake.url}/authorize"
    assert found.algorithms == {"RS256", "HS256"}


async def test_asks_nobody_without_discovery(fake, openid, discovery) -> None:
    found = await discovery.metadata(replace(openid, discovery=None, endpoints=Endpoints(token="https://t/")))
    assert (found.token, found.authorize, fake.asked) == ("https://t/", None, [])


async def test_fetches_once_an_hour(fake, openid, discovery, clock) -> None:
    for seconds in (0, 1, 3598):
        clock.now += seconds
        await discovery.metadata(openid)
    assert fake.count(PATH) == 1
    clock.now += 1
    await discovery.metadata(openid)
    assert fake.count(PATH) == 2


async def test_many_callers_fetch_once(fake, openid, discovery) -> None:
    await asyncio.gather(*(discovery.metadata(openid) for _ in range(50)))
    assert fake.count(PATH) == 1


async def test_survives_an_outage_of_seven_days(fake, openid, discovery, clock) -> None:
    before = await discovery.metadata(openid)
    keys = await discovery.keys(openid, before.jwks or "")
    await fake.stop()
    clock.now += 7 * DAY - 1
    assert await discovery.metadata(openid) == before
    assert await discovery.keys(openid, before.jwks or "") == keys
    clock.now += 1
    with pytest.raises(Unavailable) as refused:
        await discovery.metadata(openid)
    assert refused.value.code == "provider_unavailable"
    with pytest.raises(Unavailable):
        await discovery.keys(openid, before.jwks or "")


@pytest.mark.parametrize("status", [404, 500])
async def test_survives_error_pages_and_asks_seldom(fake, openid, discovery, clock, status: int) -> None:
    before = await discovery.metadata(openid)
    fake.replies[PATH] = Response("<html>", status)
    clock.now += 3600
    for _ in range(5):
        assert await discovery.metadata(openid) == before
    assert fake.count(PATH) == 2
    clock.now += 30
    fake.says(PATH, document(fake, token_endpoint=f"{fake.url}/token2"))
    assert (await discovery.metadata(openid)).token == f"{fake.url}/token2"


async def test_while_one_asks_the_others_get_the_old_one(fake, openid, discovery, clock) -> None:
    before = await discovery.metadata(openid)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_) -> Response:
        asked.set()
        await go_on.wait()
        return Response("{}")

    fake.replies[PATH] = slowly
    clock.now += 3600
    first = asyncio.create_task(discovery.metadata(openid))
    await asked.wait()
    assert await discovery.metadata(openid) == before
    go_on.set()
    assert await first == before


async def test_a_caller_who_goes_away_does_not_spoil_it(fake, openid, discovery) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_) -> Response:
        asked.set()
        await go_on.wait()
        return Response("{}")

    good = fake.replies[PATH]
    fake.replies[PATH] = slowly
    first = asyncio.create_task(discovery.metadata(openid))
    await asked.wait()
    second = asyncio.create_task(discovery.metadata(openid))
    fake.replies[PATH] = good
    first.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).issuer == fake.url


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example.com"},
        {"issuer": None},
        {"issuer": 7},
        {"token_endpoint": "http://tokens.example.com/"},
        {"token_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:password@example.com/"},
        {"jwks_uri": ["https://example.com"]},
        {"userinfo_endpoint": "https://example.com/{tenantid}"},
    ],
)
async def test_refuses_a_document_that_is_not_the_providers(fake, openid, discovery, changes) -> None:
    fake.says(PATH, document(fake, **changes))
    with pytest.raises(Unavailable):
        await discovery.metadata(openid)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b" " * 300_000 + b"{}", b"\xff\xff"])
async def test_refuses_what_is_no_document(fake, openid, discovery, body: bytes) -> None:
    fake.replies[PATH] = Response(body)
    with pytest.raises(Unavailable):
        await discovery.metadata(openid)


TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"


@pytest.mark.parametrize(
    ("issuer", "accepted"),
    [
        ("{url}/{{tenantid}}/v2.0", True),
        ("{url}/common/v2.0", True),
        (f"{{url}}/{TENANT}/v2.0", True),
        ("{url}/other/v2.0", False),
        ("{url}/{{tenantid}}/v1.0", False),
        ("{url}/{{tenantid}}/v2.0/", False),
        ("https://evil.example.com/common/v2.0", False),
    ],
)
async def test_an_issuer_for_many_tenants(fake, openid, discovery, issuer: str, accepted: bool) -> None:
    many = replace(openid, issuer=f"{fake.url}/common/v2.0", quirks=frozenset({"issuer_by_tid"}))
    fake.says(PATH, document(fake, issuer=issuer.format(url=fake.url)))
    if accepted:
        assert (await discovery.metadata(many)).issuer == issuer.format(url=fake.url)
    else:
        with pytest.raises(Unavailable):
            await discovery.metadata(many)


async def test_an_unknown_key_is_looked_for_once_in_30_seconds(fake, openid, discovery, clock) -> None:
    url = f"{fake.url}/jwks"
    await discovery.keys(openid, url, key_id="one")
    assert fake.count("/jwks") == 1
    for _ in range(3):
        await discovery.keys(openid, url, key_id="two")
    assert fake.count("/jwks") == 2
    fake.says("/jwks", {"keys": [{"kty": "RSA", "kid": "two"}]})
    clock.now += 30
    assert [key["kid"] for key in await discovery.keys(openid, url, key_id="two")] == ["two"]
    assert fake.count("/jwks") == 3


async def test_an_unknown_key_during_an_outage_leaves_the_known_ones(fake, openid, discovery) -> None:
    url = f"{fake.url}/jwks"
    await discovery.keys(openid, url)
    await fake.stop()
    assert [key["kid"] for key in await discovery.keys(openid, url, key_id="two")] == ["one"]
    assert [key["kid"] for key in await discovery.keys(openid, url, key_id="one")] == ["one"]
