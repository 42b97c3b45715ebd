"""Look-ups in flight: one query for many callers, and no answer that is older than news everybody has."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from keybearer.kit import tokens
from keybearer.kit.errors import Unavailable
from keybearer.sessions.cache import BearerCache
from keybearer.sessions.resolver import BearerResolver

START = datetime(2026, 1, 1, tzinfo=UTC)
ROW: dict[str, Any] = {
    "kind": "session",
    "tenant_id": UUID(int=9),
    "tenant_name": "t",
    "subject_id": UUID(int=100),
    "user_id": UUID(int=1),
    "expires_at": START + timedelta(days=30),
    "disabled": False,
    "email": None,
    "name": "n",
    "avatar_url": None,
    "role": "member",
    "authenticated_at": START,
    "last_seen_at": START,
    "agent": None,
    "scopes": None,
    "connections": None,
}


class SlowDatabase:
    """Answers each query when the test says so, with what was true when it was asked."""

    def __init__(self) -> None:
        self.valid = True
        self.waiting: list[tuple[asyncio.Future[None], bool]] = []

    async def read(self, _function: str, _digest: bytes) -> list[dict[str, Any]]:
        valid, answer = self.valid, asyncio.get_running_loop().create_future()
        self.waiting.append((answer, valid))
        await answer
        return [ROW] if valid else []

    def answer(self) -> None:
        for future, _ in self.waiting:
            if not future.done():
                future.set_result(None)


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.db = SlowDatabase()
        self.cache = BearerCache(fresh=lambda: True, clock=lambda: self.now, wall=START.timestamp)
        self.resolver = BearerResolver(self.db, self.cache, now=lambda: START, monotonic=lambda: self.now)  # type: ignore[arg-type]  # a stand-in for the database

    async def ask(self, token: str) -> "asyncio.Task[Any]":
        """Asks, and lets it get as far as it can."""
        task = asyncio.create_task(self.resolver.resolve(token))
        for _ in range(5):
            await asyncio.sleep(0)
        return task


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def token() -> str:
    return tokens.new(tokens.SESSION)


async def test_many_callers_share_a_query(world: World, token: str) -> None:
    asked = [await world.ask(token) for _ in range(50)]
    assert len(world.db.waiting) == 1
    world.db.answer()
    assert all([await each for each in asked])
    assert await world.resolver.resolve(token) is not None
    assert len(world.db.waiting) == 1


async def test_nobody_joins_a_query_that_may_be_older_than_a_revocation(world: World, token: str) -> None:
    first = await world.ask(token)
    world.db.valid = False
    world.cache.notified("token", tokens.digest(token).hex())
    world.now = 0.6
    late = await world.ask(token)
    assert len(world.db.waiting) == 2
    world.db.answer()
    assert await first is not None, "it asked before the revocation"
    assert await late is None
    later = await world.ask(token)
    world.db.answer()
    assert await later is None, "the first answer must not have been kept"


async def test_a_caller_that_goes_away_takes_nobody_along(world: World, token: str) -> None:
    first, second = await world.ask(token), await world.ask(token)
    first.cancel()
    world.db.answer()
    assert await second is not None


async def test_a_flood_is_told_to_come_back(world: World) -> None:
    asked = [await world.ask(tokens.new(tokens.SESSION)) for _ in range(500)]
    with pytest.raises(Unavailable) as refused:
        await world.resolver.resolve(tokens.new(tokens.SESSION))
    assert (refused.value.code, refused.value.retry_after) == ("overloaded", 1)
    assert len(world.db.waiting) == 6, "the pool is left to others"
    while not all(each.done() for each in asked):
        world.db.answer()
        await asyncio.sleep(0)
    assert len(world.resolver._flights) == 0


@pytest.mark.parametrize(
    "odd", ["", "kbs_", "kbx_" + "A" * 49, "kbs_" + "A" * 49, "kbs_" + "\u00e9" * 49, "x" * 10_000]
)
async def test_what_was_never_ours_costs_no_query(world: World, odd: str) -> None:
    assert await world.resolver.resolve(odd) is None
    assert world.db.waiting == []
