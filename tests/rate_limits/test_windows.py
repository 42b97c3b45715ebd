"""The window's rule as a property, and both places where hits are counted."""

import asyncio
import signal
import time
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.kit import context
from keybearer.kit.context import RequestContext
from keybearer.kit.errors import TooMany
from keybearer.limits import metrics, model
from keybearer.limits.memory import BoundedMemory
from keybearer.limits.service import RequestLimits, SignInLimits
from keybearer.limits.windows import Windows
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from rate_limits.servers import Valkey

PAUSES = st.lists(st.floats(0, 3, allow_nan=False), max_size=60)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@given(PAUSES, st.integers(1, 5), st.integers(1, 3))
def test_no_window_ever_holds_more_than_its_limit_and_room_is_never_denied(
    pauses: list[float], amount: int, seconds: int
) -> None:
    clock, passed = Clock(), []
    windows, rate = Windows(clock=clock), RateLimitItemPerSecond(amount, seconds)

    async def run() -> None:
        for pause in pauses:
            clock.now += pause
            inside = [each for each in passed if each > clock.now - seconds]
            assert await windows.has_room(rate, "k") is (len(inside) < amount)
            if await windows.hit(rate, "k"):
                passed.append(clock.now)
                assert len(inside) < amount
            else:
                assert len(inside) == amount
                wait = await windows.wait(rate, "k")
                assert 1 <= wait <= seconds
                later = [each for each in passed if each > clock.now + wait - seconds]
                assert len(later) < amount, "whoever waited as told is refused again"

    asyncio.run(run())


@given(PAUSES)
def test_bursts_are_paid_for(pauses: list[float]) -> None:
    """Never over 30 in a second, nor over 120 in ten."""
    clock, passed = Clock(), []
    limits = RequestLimits(Windows(clock=clock), "10/second")

    async def run() -> None:
        for pause in [each / 30 for each in pauses for _ in range(4)]:
            clock.now += pause
            try:
                await limits.check_address()
            except TooMany:
                continue
            passed.append(clock.now)

    asyncio.run(run())
    for end in passed:
        assert sum(end - 1 < each <= end for each in passed) <= 30
        assert sum(end - 10 < each <= end for each in passed) <= 120


async def test_memory_is_bounded() -> None:
    memory = BoundedMemory(keys=100)
    for number in range(1000):
        assert await memory.acquire_entry(str(number), 1, 60)

    assert len(memory) == 100
    assert not await memory.acquire_entry("999", 1, 60)


async def outcomes(check, count: int) -> list[bool]:
    found: list[bool] = []
    refusals: list[TooMany] = []
    for _ in range(count):
        try:
            await check()
        except TooMany as error:
            found.append(False)
            refusals.append(error)
        else:
            found.append(True)
    assert {error.code for error in refusals} <= {"rate_limited"}
    assert all(1 <= (error.retry_after or 0) <= 60 for error in refusals)
    return found


async def test_an_account_is_counted_whoever_asks_and_others_are_not() -> None:
    limits, tenant = SignInLimits(Windows(), "5/minute"), uuid4()

    async def attempt(email: str, address: str) -> None:
        token = context.request.set(RequestContext("r", address))
        try:
            await limits.check_account(tenant, email)
        finally:
            context.request.reset(token)

    addresses = iter(f"203.0.113.{n}" for n in range(20))
    assert await outcomes(lambda: attempt("dora@example.com", next(addresses)), 7) == [True] * 5 + [False] * 2
    assert await outcomes(lambda: attempt("bob@example.com", "203.0.113.1"), 1) == [True]
    assert await outcomes(lambda: limits.check_account(uuid4(), "dora@example.com"), 1) == [True]


async def test_steps_of_a_sign_in_are_counted_apart() -> None:
    limits = SignInLimits(Windows(), "1/minute")

    assert await outcomes(lambda: limits.check_address("start"), 2) == [True, False]
    assert await outcomes(lambda: limits.check_address("callback"), 2) == [True, False]


async def test_processes_count_together_and_leave_no_email(valkey: Valkey) -> None:
    both, tenant = [Windows(valkey.url), Windows(valkey.url)], uuid4()
    limits = [SignInLimits(each, "5/minute") for each in both]
    turns = iter([0, 1] * 5)

    found = await outcomes(lambda: limits[next(turns)].check_account(tenant, "dora@example.com"), 8)
    assert found == [True] * 5 + [False] * 3
    keys = b" ".join([each async for each in both[0]._storage.bridge.get_connection().scan_iter()])
    assert b"keybearer" in keys
    assert b"dora" not in keys
    for each in both:
        await each.aclose()


async def test_valkey_gone_is_noticed_costs_nothing_and_comes_back(valkey: Valkey) -> None:
    windows, rate = Windows(valkey.url), RateLimitItemPerMinute(3)
    assert await windows.hit(rate, "a")
    valkey.stop()

    # Room as a process alone has it, and then none.
    assert [await windows.hit(rate, "a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert metrics.ALONE._value.get() == 1
    started = time.perf_counter()
    for _ in range(100):
        await windows.has_room(rate, "a")
    assert time.perf_counter() - started < 0.5

    valkey.start()
    await _until(lambda: metrics.ALONE._value.get() == 0, windows, rate)
    assert [await windows.hit(rate, "a") for _ in range(4)] == [True] * 3 + [False]
    await windows.aclose()


async def test_a_valkey_that_hangs_holds_up_two_calls_and_then_one_now_and_then(valkey: Valkey) -> None:
    windows, rate = Windows(valkey.url), RateLimitItemPerMinute(1000)
    assert await windows.hit(rate, "a")
    valkey.send(signal.SIGSTOP)
    try:
        started = time.perf_counter()
        for _ in range(200):
            assert await windows.hit(rate, "a")
        # Two waits of 100 ms until nobody waits, and at most one more where the machine is slow.
        assert time.perf_counter() - started < 0.9
        assert metrics.ALONE._value.get() == 1
    finally:
        valkey.send(signal.SIGCONT)
    await _until(lambda: metrics.ALONE._value.get() == 0, windows, rate)
    await windows.aclose()


async def test_a_valkey_that_lets_nobody_in_is_done_without(valkey: Valkey) -> None:
    windows, limit = Windows(valkey.url.replace("s3cret", "wrong")), model.strict("2/minute").windows[0]

    assert [await windows.hit(limit, "a") for _ in range(3)] == [True, True, False]
    await windows.aclose()


async def _until(true, windows: Windows, rate) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline
        await windows.has_room(rate, "other")
        await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def _calm() -> None:
    metrics.ALONE.set(0)
