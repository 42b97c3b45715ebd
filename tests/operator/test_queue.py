"""The queue and the Lease: one at a time for each key, nobody without the Lease, and of two operators one."""

import asyncio
import contextlib
import copy
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from keybearer_operator.kube import Conflict, NotFound, Resource, Unavailable
from keybearer_operator.lease import Lease, NotLeading
from keybearer_operator.names import Key
from keybearer_operator.work import GONE, LONGEST_PAUSE, Work, backoff

KEY = Key("ns", "one")


class ApiServer:
    """Keeps objects as an API server does: a write with an old resourceVersion is a conflict."""

    def __init__(self) -> None:
        self._objects: dict[tuple[Resource, str], dict[str, Any]] = {}
        self._version = 0
        self.away = False

    async def find(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return await self.get(resource, namespace, name)
        except NotFound:
            return None

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        await self._arrive()
        if (resource, name) not in self._objects:
            raise NotFound(404, name)
        return copy.deepcopy(self._objects[resource, name])

    async def create(self, resource: Resource, namespace: str, what: dict[str, Any]) -> None:
        await self._arrive()
        if (resource, what["metadata"]["name"]) in self._objects:
            raise Conflict(409, "there")
        self._keep(resource, what)

    async def replace(self, resource: Resource, namespace: str, what: dict[str, Any]) -> None:
        await self._arrive()
        known = self._objects[resource, what["metadata"]["name"]]
        if known["metadata"]["resourceVersion"] != what["metadata"]["resourceVersion"]:
            raise Conflict(409, "changed")
        self._keep(resource, what)

    async def _arrive(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable(0, "away")

    def _keep(self, resource: Resource, what: dict[str, Any]) -> None:
        self._version += 1
        kept = copy.deepcopy(what)
        kept["metadata"]["resourceVersion"] = str(self._version)
        self._objects[resource, kept["metadata"]["name"]] = kept


def lease(server: Any, identity: str = "a") -> Lease:
    return Lease(server, "ns", identity=identity, seconds=1)


@contextlib.asynccontextmanager
async def running(*all_of_them: Awaitable[None]) -> AsyncIterator[list["asyncio.Future[None]"]]:
    tasks = [asyncio.ensure_future(each) for each in all_of_them]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(question: Any, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not question():  # noqa: ASYNC110 - whatever is asked for, no event tells of it
            await asyncio.sleep(0.005)


async def test_of_two_one_leads_and_the_other_follows_when_it_dies():
    server = ApiServer()
    first, second = lease(server, "a"), lease(server, "b")
    async with running(second.keep()):
        await until(second.held)
        async with running(first.keep()):
            await asyncio.sleep(1.5)
            assert second.held()
            assert not first.held()
            with pytest.raises(NotLeading):
                first.require()


async def test_a_leader_that_ends_gives_the_lease_back_at_once():
    server = ApiServer()
    first, second = lease(server, "a"), lease(server, "b")
    async with running(first.keep()):
        await until(first.held)
    started = time.monotonic()
    async with running(second.keep()):
        await until(second.held)
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("moments", range(12))
async def test_a_leader_that_is_ended_while_an_answer_arrives_ends(moments):
    held = lease(ApiServer())
    keeping = asyncio.create_task(held.keep())
    for _ in range(moments):
        await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.wait([keeping], timeout=0.5)
    ended = keeping.cancelled()
    keeping.cancel()
    assert ended
    assert not held.held()


async def test_never_do_both_lead_though_the_leader_cannot_reach_the_server():
    server, cut_off = ApiServer(), ApiServer()
    cut_off._objects = server._objects
    first, second = lease(cut_off, "a"), lease(server, "b")
    async with running(first.keep()):
        await until(first.held)
        cut_off.away = True
        async with running(second.keep()):
            gap = 0.0
            while not second.held():
                gap = gap or (0.0 if first.held() else time.monotonic())
                await asyncio.sleep(0.002)
            assert not first.held()
            assert time.monotonic() - gap > 0.1, "between them lies time for what was sent"


async def test_one_key_is_worked_on_once_at_a_time_and_once_more_when_it_changed_meanwhile():
    server = ApiServer()
    held = lease(server)
    most, now, calls = 0, 0, 0

    async def reconcile(key: Key) -> float | None:
        nonlocal most, now, calls
        calls, now = calls + 1, now + 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        return None

    work = Work("Thing", reconcile, held, workers=4)
    async with running(held.keep(), work.run()):
        await work.add(KEY)
        await until(lambda: calls == 1)
        for _ in range(10):
            await work.add(KEY)
        await asyncio.sleep(0.3)
    assert (most, calls) == (1, 2)


async def test_nothing_is_done_without_the_lease():
    server = ApiServer()
    held = lease(server)
    calls: Counter[Key] = Counter()

    async def reconcile(key: Key) -> float | None:
        calls[key] += 1
        return 0.01

    work = Work("Thing", reconcile, held)
    async with running(work.run()):
        await work.add(KEY)
        await asyncio.sleep(0.1)
        assert not calls
        async with running(held.keep()):
            await until(lambda: calls[KEY] > 2)
            server.away = True
            await until(lambda: not held.held())
            await asyncio.sleep(0.05)
            before = calls[KEY]
            await asyncio.sleep(0.2)
            assert calls[KEY] == before


async def test_what_fails_comes_again_and_what_is_gone_once_more_and_no_further():
    held = lease(ApiServer())
    calls: Counter[Key] = Counter()
    there = {KEY, other := Key("ns", "other")}

    async def reconcile(key: Key) -> float | None:
        calls[key] += 1
        if calls[key] == 1:
            raise Unavailable(503, "later")
        return None if key in there else GONE

    work = Work("Thing", reconcile, held, resync=0.1)
    async with running(held.keep(), work.run()):
        await work.look_at(there)
        await until(lambda: calls[KEY] > 2 and calls[other] > 2)
        before = calls[KEY] + 1
        there.remove(KEY)
        await until(lambda: calls[KEY] == before)
        await asyncio.sleep(0.3)
    assert calls[KEY] == before
    assert calls[other] > 3


async def test_an_object_whose_deletion_no_event_told_of_is_looked_at_when_it_is_not_listed():
    held = lease(ApiServer())
    seen: list[Key] = []

    async def reconcile(key: Key) -> float | None:
        seen.append(key)
        return None if len(seen) == 1 else GONE

    work = Work("Thing", reconcile, held, resync=300)
    async with running(held.keep(), work.run()):
        await work.look_at([KEY])
        await until(lambda: len(seen) == 1)
        await work.look_at([])
        await until(lambda: len(seen) == 2)
        await work.look_at([])
        await asyncio.sleep(0.1)
    assert len(seen) == 2


@pytest.mark.parametrize("failures", [1, 2, 5, 20, 1000])
def test_pauses_grow_to_a_limit(failures):
    longest = min(LONGEST_PAUSE, 0.5 * 2 ** min(failures - 1, 12))
    assert all(longest / 2 <= backoff(failures) <= longest for _ in range(50))
