"""Big streams: memory stays flat in both directions, since nothing is read faster than it is passed on."""

import asyncio
import os

import psutil
import pytest

pytestmark = pytest.mark.long

GIB = 1024**3
MOST_GROWTH = 48 * 1024**2


@pytest.fixture
async def grant(world, sandboxed) -> str:
    return await world.grant(await world.connect("spotify", sandboxed.tokens("spotify")["access_token"]))


class Memory:
    """The most that this process, proxy and agent together, has grown since the beginning."""

    def __init__(self) -> None:
        self._process = psutil.Process(os.getpid())
        self._before = self._process.memory_info().rss
        self.growth = 0

    def look(self) -> None:
        self.growth = max(self.growth, self._process.memory_info().rss - self._before)


@pytest.mark.timeout(600)
async def test_a_gibibyte_is_streamed_down(world, grant):
    memory, count = Memory(), 0
    async with (
        world.client(grant) as client,
        client.stream("GET", "/spotify/v1/stream", params={"bytes": GIB}, timeout=60) as answer,
    ):
        async for piece in answer.aiter_raw():
            count += len(piece)
            if count % 97 == 0:
                memory.look()
    assert count == GIB
    assert memory.growth < MOST_GROWTH


@pytest.mark.timeout(300)
async def test_an_agent_that_reads_slowly_slows_the_provider_and_not_the_memory(world, grant, upstream):
    sent = 0

    async def script(_reader, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    upstream.script = script
    grant = await world.grant(await world.connect("scripted", "sbx_any"))
    memory = Memory()
    async with world.client(grant) as client, client.stream("GET", "/scripted/v1/big", timeout=60) as answer:
        await anext(answer.aiter_raw())
        steady = -1
        while sent != steady:
            steady = sent
            await asyncio.sleep(0.5)
            memory.look()
    assert sent < 32 * 1024**2, "sockets and one piece in flight, no more"
    assert memory.growth < MOST_GROWTH
