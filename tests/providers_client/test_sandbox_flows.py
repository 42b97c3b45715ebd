"""Whole conversations with the sandbox's providers, through the catalogue's own entries."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from keybearer.kit.errors import Unavailable
from keybearer.providers.errors import IdentityInvalid, TokenRequestFailed
from keybearer.providers.service import Providers
from keybearer.providers.tokens import TokenAnswer
from keybearer_sandbox.testing import RunningSandbox

ALL = ["google", "spotify", "github", "oidc"]
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-section-4"


async def connected(
    providers: Providers, sandbox: RunningSandbox, name: str, *, nonce: str = "n-1", verifier: str = VERIFIER
) -> TokenAnswer:
    """What a person's consent ends in."""
    provider = providers.get_provider(name)
    url = await providers.authorize_url(
        provider,
        redirect_uri=sandbox.redirect_uri,
        state="s-1",
        nonce=nonce,
        code_challenge=create_s256_code_challenge(VERIFIER),
        scopes=provider.default_scopes,
        connecting=True,
    )
    back = parse_qs(urlsplit(await asyncio.to_thread(sandbox.authorize, url)).query)
    assert back["state"] == ["s-1"]
    return await providers.exchange(
        provider, code=back["code"][0], redirect_uri=sandbox.redirect_uri, code_verifier=verifier
    )


@pytest.mark.parametrize("name", ALL)
async def test_learns_who_consented(sandbox_providers: Providers, sandbox: RunningSandbox, name: str) -> None:
    answer = await connected(sandbox_providers, sandbox, name)
    identity = await sandbox_providers.identify(sandbox_providers.get_provider(name), answer, nonce="n-1")
    assert identity.email == "alice@example.com"
    assert identity.email_verified is (name != "spotify")
    assert identity.subject.isascii()
    assert identity.issuer == sandbox_providers.get_provider(name).identity_issuer
    assert identity.issuer.startswith(sandbox.url)
    assert "Alice" in identity.name or name in {"spotify", "github"}


@pytest.mark.parametrize("name", ["google", "spotify", "oidc"])
async def test_refreshes(sandbox_providers: Providers, sandbox: RunningSandbox, name: str) -> None:
    provider = sandbox_providers.get_provider(name)
    first = await connected(sandbox_providers, sandbox, name)
    assert first.refresh_token is not None
    assert first.expires_in == 3600
    second = await sandbox_providers.refresh(provider, first.refresh_token)
    assert second.access_token != first.access_token


async def test_github_gives_a_token_that_does_not_expire(sandbox_providers: Providers, sandbox: RunningSandbox) -> None:
    answer = await connected(sandbox_providers, sandbox, "github")
    assert (answer.expires_in, answer.refresh_token) == (None, None)
    assert "repo" in (answer.scopes or ())


@pytest.mark.parametrize("name", ["google", "github", "oidc"])
async def test_revokes(sandbox_providers: Providers, sandbox: RunningSandbox, name: str) -> None:
    provider = sandbox_providers.get_provider(name)
    answer = await connected(sandbox_providers, sandbox, name)
    assert await sandbox_providers.revoke(
        provider, access_token=answer.access_token, refresh_token=answer.refresh_token
    )
    if answer.refresh_token:
        with pytest.raises(TokenRequestFailed) as failed:
            await sandbox_providers.refresh(provider, answer.refresh_token)
        assert failed.value.kind == "invalid_grant"


async def test_spotify_has_no_way_to_revoke(sandbox_providers: Providers) -> None:
    provider = sandbox_providers.get_provider("spotify")
    assert not await sandbox_providers.revoke(provider, access_token="a", refresh_token="r")


@pytest.mark.parametrize(
    ("fault", "settings", "kind", "retry_after"),
    [
        ("invalid_grant", {}, "invalid_grant", None),
        ("invalid_client", {}, "invalid_client", None),
        ("server_error", {}, "transient", None),
        ("rate_limited", {"seconds": 7}, "transient", 7.0),
        ("lost_response", {}, "unknown", None),
    ],
)
@pytest.mark.parametrize("name", ["google", "spotify", "oidc"])
async def test_classifies_a_failed_refresh(
    sandbox_providers: Providers, sandbox: RunningSandbox, name, fault, settings, kind, retry_after
) -> None:
    answer = await connected(sandbox_providers, sandbox, name)
    sandbox.control(name, fault, **settings)
    with pytest.raises(TokenRequestFailed) as failed:
        await sandbox_providers.refresh(sandbox_providers.get_provider(name), answer.refresh_token or "")
    assert (failed.value.kind, failed.value.retry_after) == (kind, retry_after)
    assert "sbx_" not in repr(failed.value)


@pytest.mark.parametrize("name", ALL)
async def test_a_wrong_verifier_is_refused(sandbox_providers: Providers, sandbox: RunningSandbox, name: str) -> None:
    with pytest.raises(TokenRequestFailed) as failed:
        await connected(sandbox_providers, sandbox, name, verifier="x" * 50)
    assert failed.value.kind == "invalid_grant"


async def test_a_code_works_once(sandbox_providers: Providers, sandbox: RunningSandbox) -> None:
    url = await asyncio.to_thread(sandbox.authorize, sandbox.authorize_url("spotify"))
    code = parse_qs(urlsplit(url).query)["code"][0]
    spotify = sandbox_providers.get_provider("spotify")
    await sandbox_providers.exchange(spotify, code=code, redirect_uri=sandbox.redirect_uri, code_verifier=None)
    with pytest.raises(TokenRequestFailed) as failed:
        await sandbox_providers.exchange(spotify, code=code, redirect_uri=sandbox.redirect_uri, code_verifier=None)
    assert failed.value.kind == "invalid_grant"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("bad_signature", "bad_signature"), ("wrong_nonce", "bad_nonce"), ("wrong_issuer", "bad_iss")],
)
@pytest.mark.parametrize("name", ["google", "oidc"])
async def test_a_spoiled_id_token_is_refused(
    sandbox_providers: Providers, sandbox: RunningSandbox, name: str, fault: str, reason: str
) -> None:
    sandbox.control(name, fault)
    answer = await connected(sandbox_providers, sandbox, name)
    with pytest.raises(IdentityInvalid) as refused:
        await sandbox_providers.identify(sandbox_providers.get_provider(name), answer, nonce="n-1")
    assert (refused.value.code, refused.value.reason) == ("id_token_invalid", reason)


async def test_an_answer_to_another_sign_in_is_refused(sandbox_providers: Providers, sandbox: RunningSandbox) -> None:
    answer = await connected(sandbox_providers, sandbox, "google", nonce="another")
    with pytest.raises(IdentityInvalid) as refused:
        await sandbox_providers.identify(sandbox_providers.get_provider("google"), answer, nonce="n-1")
    assert refused.value.reason == "bad_nonce"


async def test_discovery_outlives_the_provider(sandbox_providers: Providers, sandbox: RunningSandbox) -> None:
    answer = await connected(sandbox_providers, sandbox, "google")
    google = sandbox_providers.get_provider("google")
    await sandbox_providers.identify(google, answer, nonce="n-1")
    sandbox.control("google", "discovery_unavailable")
    again = await connected(sandbox_providers, sandbox, "google")
    assert (await sandbox_providers.identify(google, again, nonce="n-1")).email == "alice@example.com"


async def test_without_discovery_nobody_is_sent_away(sandbox_providers: Providers, sandbox: RunningSandbox) -> None:
    sandbox.control("google", "discovery_unavailable")
    with pytest.raises(Unavailable) as refused:
        await connected(sandbox_providers, sandbox, "google")
    assert refused.value.code == "provider_unavailable"
    with pytest.raises(TokenRequestFailed) as failed:
        await sandbox_providers.refresh(sandbox_providers.get_provider("google"), "sbx_any")
    assert failed.value.kind == "transient"


async def test_client_credentials(sandbox_providers: Providers, sandbox: RunningSandbox) -> None:
    oidc = sandbox_providers.get_provider("oidc")
    fields = {"client_id": "sandbox-oidc", "client_secret": "sbx_secret_oidc"}
    answer = await sandbox_providers.client_credentials(oidc, fields)
    assert answer.access_token.startswith("sbx_")
    with pytest.raises(TokenRequestFailed) as failed:
        await sandbox_providers.client_credentials(oidc, {**fields, "client_secret": "wrong"})
    assert failed.value.kind == "invalid_client"
