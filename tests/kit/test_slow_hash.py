"""Slow hashes are made beside the event loop, and refused where too many wait."""

import asyncio
import os
import time
from collections.abc import Iterator

import pytest
from keybearer.kit.errors import Unavailable
from keybearer.kit.slow_hash import SlowHash


@pytest.fixture
def hasher() -> Iterator[SlowHash]:
    hasher = SlowHash(threads=1, waiting=4)
    yield hasher
    hasher.close()


async def test_a_text_fits_its_own_hash_alone(hasher: SlowHash) -> None:
    hashed = await hasher.hash("k3m9-x0qa")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hashed != await hasher.hash("k3m9-x0qa")
    assert await hasher.verify(hashed, "k3m9-x0qa")
    assert not await hasher.verify(hashed, "k3m9-x0qb")
    for strange in ("", "$argon2id$", "$2b$12$abc", "\x00"):
        assert not await hasher.verify(strange, "x")


async def test_the_loop_goes_on_meanwhile(hasher: SlowHash) -> None:
    longest, before = 0.0, time.perf_counter()
    work = asyncio.gather(*(hasher.hash("x") for _ in range(4)))
    while not work.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    await work
    assert longest < 2.0  # a hash inside the loop would be felt as such; a busy machine is no failure


async def test_what_would_wait_too_long_is_refused(hasher: SlowHash) -> None:
    outcomes = await asyncio.gather(*(hasher.hash("x") for _ in range(9)), return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Unavailable)]
    assert len(refused) == 5
    assert {each.code for each in refused} == {"overloaded"}
    assert await hasher.verify(await hasher.hash("x"), "x"), "and later it goes on"


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="needs priorities of threads")
async def test_its_threads_give_way(hasher: SlowHash) -> None:
    await hasher.hash("x")
    niceness = {os.getpriority(os.PRIO_PROCESS, int(each)) for each in os.listdir("/proc/self/task")}
    assert max(niceness) == min(min(niceness) + 10, 19)
