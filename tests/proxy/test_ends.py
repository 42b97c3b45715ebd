"""How calls end other than by an answer: the agent hangs up, the person revokes, the provider fails."""

import asyncio

import httpx2
import pytest

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
ENDLESS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def grant(world) -> str:
    return await world.grant(await world.connect("scripted", "sbx_any"))


def saying(*pieces: bytes, then=None):
    async def script(_reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then is not None:
            await then()

    return script


async def until_hung_up(reader, writer):
    """Streams for as long as somebody listens."""
    writer.write(ENDLESS)
    while not reader.at_eof():
        writer.write(b"4\r\nmore\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def ends(world):
    """Asking takes a transaction, so this turns slowly until the end is there."""
    async with asyncio.timeout(5):
        while not (rows := await world.ledger("proxy.finished")):
            pass
    return [(row["outcome"], row["code"], row["status"]) for row in rows]


async def test_an_agent_that_hangs_up_hangs_up_the_provider(world, grant, upstream):
    upstream.script = until_hung_up
    async with world.client(grant) as client, client.stream("GET", "/scripted/v1/long") as answer:
        await anext(answer.aiter_raw())
    async with asyncio.timeout(2):
        await upstream.closed.wait()
    assert await ends(world) == [("failed", "client_gone", 200)]


async def test_an_agent_that_does_not_wait_for_the_answer_leaves_an_unknown_end(world, grant, upstream):
    async def never(reader, _writer):
        await reader.read()

    upstream.script = never
    async with world.client(grant) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get("/scripted/v1/slow", timeout=0.2)
    async with asyncio.timeout(2):
        await upstream.closed.wait()
    assert await ends(world) == [("unknown", "client_gone", None)]


async def test_a_stream_ends_when_its_grant_is_revoked(world, grant, upstream):
    upstream.script = until_hung_up
    async with world.client(grant) as client, client.stream("GET", "/scripted/v1/long") as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        live = await world.grants.list_live(world.principal)
        began = asyncio.get_running_loop().time()
        await world.grants.revoke(world.principal, live[0][0].id)
        with pytest.raises(httpx2.RemoteProtocolError):
            async for _ in pieces:
                pass
        assert asyncio.get_running_loop().time() - began < 1
    assert await ends(world) == [("failed", "grant_ended", 200)]


async def test_a_revocation_while_the_provider_thinks_is_answered(world, grant, upstream):
    async def never(reader, _writer):
        live = await world.grants.list_live(world.principal)
        await world.grants.revoke(world.principal, live[0][0].id)
        await reader.read()

    upstream.script = never
    async with world.client(grant) as client:
        answer = await client.get("/scripted/v1/slow")
    assert (answer.status_code, answer.headers["keybearer-error"]) == (401, "grant_ended")
    assert await ends(world) == [("unknown", "grant_ended", None)]


async def test_a_change_of_the_person_does_not_end_streams_that_may_go_on(world, grant, upstream):
    from keybearer.kit.database import notify

    upstream.script = until_hung_up
    async with world.client(grant) as client, client.stream("GET", "/scripted/v1/long") as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        async with world.db.transaction(world.principal.tenant_id) as tx:
            await notify(tx, "user", world.principal.user_id)
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.7
        while loop.time() < until:
            await anext(pieces)


async def test_a_provider_that_does_not_answer_in_time(world, grant, upstream):
    async def never(reader, _writer):
        await reader.read()

    upstream.script = never
    async with world.client(grant) as client:
        answer = await client.post("/scripted/v1/slow", content=b"x")
    assert (answer.status_code, answer.headers["keybearer-error"]) == (502, "provider_timeout")
    assert await ends(world) == [("unknown", "provider_timeout", None)]


async def test_a_slow_body_after_the_head_is_not_a_time_out(world, grant, upstream):
    async def script(_reader, writer):
        writer.write(HEAD + b"Content-Length: 2\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.8)
        writer.write(b"ok")
        await writer.drain()

    upstream.script = script
    async with world.client(grant) as client:
        assert (await client.get("/scripted/v1/slow")).text == "ok"


async def test_a_provider_that_breaks_off_before_its_answer(world, grant, upstream):
    upstream.script = saying()
    async with world.client(grant) as client:
        answer = await client.post("/scripted/v1/me", content=b"x")
    assert (answer.status_code, answer.headers["keybearer-error"]) == (502, "provider_connection_lost")
    assert await ends(world) == [("unknown", "provider_connection_lost", None)]
    assert len(upstream.received) == 1, "what may have had an effect is not sent again"


async def test_a_provider_that_breaks_off_in_its_answer(world, grant, upstream):
    upstream.script = saying(HEAD + b"Content-Length: 100\r\n\r\nhalf")
    async with world.client(grant) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get("/scripted/v1/me")
    assert await ends(world) == [("failed", "provider_connection_lost", 200)]


@pytest.mark.parametrize("nonsense", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"])
async def test_an_answer_that_is_not_http_is_a_bad_gateway(world, grant, upstream, nonsense):
    upstream.script = saying(nonsense)
    async with world.client(grant) as client:
        answer = await client.get("/scripted/v1/me")
    assert answer.status_code == 502
    assert answer.headers["keybearer-error"] in {"provider_connection_lost", "provider_answer_invalid"}


async def test_a_provider_that_keeps_failing_is_left_alone(world, grant, upstream):
    """Three failures in a row open the breaker; from then on nothing is sent and the answer says when to come back."""
    upstream.script = saying(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
    async with world.client(grant) as client:
        answers = [await client.get("/scripted/v1/me") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert ["keybearer-error" in answer.headers for answer in answers] == [False] * 3 + [True] * 2
    assert answers[-1].headers["keybearer-error"] == "provider_unavailable"
    assert int(answers[-1].headers["retry-after"]) > 0
    assert len(upstream.received) == 3
    assert [row["code"] for row in await world.ledger("proxy.denied")] == ["provider_unavailable"] * 2


async def test_an_agent_that_sends_half_a_request_leaves_nothing_open(world, grant, upstream):
    upstream.script = until_hung_up
    host, port = world.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/proxy/scripted/v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {grant}\r\n"
    writer.write(f"{head}Content-Length: 2000000\r\n\r\n".encode() + b"x" * 1_200_000)
    await writer.drain()
    async with asyncio.timeout(5):
        await upstream.arrived.wait()
    writer.close()
    async with asyncio.timeout(5):
        await upstream.closed.wait()
    assert await ends(world) == [("unknown", "client_gone", None)]


async def test_the_last_use_of_a_grant_is_written_without_a_write_per_call(world, grant, upstream):
    upstream.script = saying(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with world.client(grant) as client:
        await client.get("/scripted/v1/me")
    assert (await world.grants.list_live(world.principal))[0][0].last_used_at is None
    await world.last_use.flush()
    assert (await world.grants.list_live(world.principal))[0][0].last_used_at is not None
