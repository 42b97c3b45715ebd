"""What is sent to a token endpoint, and what a broken conversation counts as."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from keybearer.kit.errors import Conflict
from keybearer.kit.outbound import NotAnswered, Outbound
from keybearer.providers import oauth
from keybearer.providers.errors import TokenRequestFailed
from keybearer.providers.model import ClientSecret, Provider
from keybearer.providers.service import Providers
from starlette.responses import Response

GRANT = {"grant_type": "refresh_token", "refresh_token": "planted-refresh-token"}
GOOD = {"access_token": "tok", "token_type": "bearer", "expires_in": 3600}


async def test_basic_encodes_each_part_before_joining(fake, provider: Provider, outbound) -> None:
    fake.says("/token", GOOD)
    awkward = replace(provider, token_auth="basic", client_id="id:with colon", client_secret=ClientSecret("s%/ü"))
    await oauth.request_token(outbound(fake.authority), f"{fake.url}/token", awkward, GRANT)
    scheme, _, value = fake.asked[0].headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value) == b"id%3Awith+colon:s%25%2F%C3%BC"
    assert fake.asked[0].form == GRANT


@pytest.mark.parametrize(
    ("token_auth", "sent"),
    [
        ("post", {"client_id": "our-client", "client_secret": "planted-client-secret"}),
        ("none", {"client_id": "our-client"}),
    ],
)
async def test_post_and_none_are_in_the_form(fake, provider, outbound, token_auth, sent) -> None:
    fake.says("/token", GOOD)
    given = replace(provider, token_auth=token_auth)
    await oauth.request_token(outbound(fake.authority), f"{fake.url}/token", given, GRANT)
    assert fake.asked[0].form == {**GRANT, **sent}
    assert "authorization" not in fake.asked[0].headers
    assert fake.asked[0].headers["accept"] == "application/json"


async def test_the_catalogues_extras_never_replace_the_grant(fake, provider, outbound) -> None:
    fake.says("/token", GOOD)
    given = replace(provider, token_params={"grant_type": "password", "audience": "api"})
    await oauth.request_token(outbound(fake.authority), f"{fake.url}/token", given, GRANT)
    assert fake.asked[0].form["grant_type"] == "refresh_token"
    assert fake.asked[0].form["audience"] == "api"


async def test_a_json_body_where_the_provider_wants_one(fake, provider, outbound) -> None:
    fake.says("/token", GOOD)
    given = replace(provider, quirks=frozenset({"json_token_request"}))
    await oauth.request_token(outbound(fake.authority), f"{fake.url}/token", given, GRANT)
    assert fake.asked[0].headers["content-type"] == "application/json"
    assert fake.asked[0].json()["refresh_token"] == "planted-refresh-token"


async def test_exchange_sends_code_redirect_uri_and_verifier(fake, provider, providers: Providers) -> None:
    fake.says("/token", GOOD)
    await providers.exchange(provider, code="c", redirect_uri="https://us.example.com/cb", code_verifier="v")
    sent = fake.asked[0].form
    assert (sent["grant_type"], sent["code"]) == ("authorization_code", "c")
    assert (sent["redirect_uri"], sent["code_verifier"]) == ("https://us.example.com/cb", "v")


async def test_no_verifier_where_the_provider_knows_no_pkce(fake, provider, providers: Providers) -> None:
    fake.says("/token", GOOD)
    await providers.exchange(replace(provider, pkce="none"), code="c", redirect_uri="https://us/", code_verifier="v")
    assert "code_verifier" not in fake.asked[0].form


async def test_client_credentials_are_the_persons_own(fake, provider, providers: Providers) -> None:
    fake.says("/token", GOOD)
    theirs = replace(provider, auth="client_credentials", client_id=None, client_secret=None, default_scopes=("a", "b"))
    await providers.client_credentials(theirs, {"client_id": "their-id", "client_secret": "their-secret"})
    sent = fake.asked[0].form
    assert sent == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "client_id": "their-id",
        "client_secret": "their-secret",
    }


async def test_without_a_client_nothing_is_sent(fake, provider, providers: Providers) -> None:
    bare = replace(provider, client_id=None, missing=("client_id",))
    with pytest.raises(Conflict) as refused:
        await providers.refresh(bare, "r")
    assert refused.value.code == "provider_not_configured"
    assert not fake.asked


async def test_a_refused_connection_is_transient(fake, provider, providers: Providers) -> None:
    await fake.stop()
    with pytest.raises(TokenRequestFailed) as failed:
        await providers.refresh(provider, "r")
    assert failed.value.kind == "transient"


async def test_an_address_that_may_not_be_reached_is_transient(fake, provider, outbound) -> None:
    with pytest.raises(TokenRequestFailed) as failed:
        await oauth.request_token(outbound(), f"{fake.url}/token", provider, GRANT)
    assert failed.value.kind == "transient"
    assert isinstance(failed.value.__cause__, NotAnswered)
    assert failed.value.__cause__.reason == "AddressRefused"
    assert not fake.asked


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def hang_up_halfway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
    await writer.drain()


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()


@pytest.mark.parametrize("handler", [hang_up, hang_up_halfway, talk_nonsense])
async def test_a_lost_answer_is_unknown(provider: Provider, outbound, handler: Handler) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        authority = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(TokenRequestFailed) as failed:
            await oauth.request_token(outbound(authority), f"http://{authority}/token", provider, GRANT)
    assert failed.value.kind == "unknown"


async def test_tls_that_fails_is_not_sent(fake, outbound) -> None:
    with pytest.raises(NotAnswered) as failed:
        await outbound(fake.authority).fetch("POST", fake.url.replace("http:", "https:"))
    assert not failed.value.sent


async def drip(outbound: Callable[..., Outbound], head: bytes, drop: bytes) -> NotAnswered:
    """What comes of a server that answers a little at a time, each bit well within the time-out of a read."""

    hung_up = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        try:
            while not writer.is_closing():
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        writer.close()
        hung_up.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        authority = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(NotAnswered) as failed:
            await outbound(authority).fetch("POST", f"http://{authority}/token", seconds=0.3)
        await hung_up.wait()
    return failed.value


async def test_the_time_out_is_for_the_whole_call(outbound) -> None:
    failed = await drip(outbound, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" ")
    assert (failed.sent, failed.reason) == (True, "TookTooLong")


async def test_headers_that_never_end_run_into_it_too(outbound) -> None:
    failed = await drip(outbound, b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n")
    assert (failed.sent, failed.reason) == (True, "TookTooLong")


@pytest.mark.parametrize("headers", [{}, {"content-encoding": "gzip"}])
async def test_reads_no_more_than_the_limit_and_nothing_compressed(fake, outbound, headers) -> None:
    fake.replies["/big"] = Response(b" " * (256 * 1024 + (0 if headers else 1)), headers=headers)
    fake.replies["/fits"] = Response(b" " * 256 * 1024)
    client = outbound(fake.authority)
    assert (await client.fetch("GET", f"{fake.url}/big")).body is None
    assert len((await client.fetch("GET", f"{fake.url}/fits")).body or b"") == 256 * 1024


async def test_nothing_secret_reaches_log_or_exception(
    fake, provider, providers: Providers, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.says("/token", {"error": "invalid_grant", "error_description": "planted-in-answer"}, 400)
    with caplog.at_level(logging.DEBUG), pytest.raises(TokenRequestFailed) as failed:
        await providers.refresh(provider, "planted-refresh-token")
    chain = [failed.value, failed.value.__cause__, failed.value.__context__]
    seen = "".join(map(repr, chain)) + "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")
    )
    printed = capsys.readouterr()
    assert "planted" not in seen + printed.out + printed.err
    assert "invalid_grant" in printed.out + caplog.text
