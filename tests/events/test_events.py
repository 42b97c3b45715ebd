"""Streams over a real listener and a real server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from installation import NO_CERTIFICATES
from keybearer.events import background
from keybearer.events.routes import routes
from keybearer.events.service import Events
from keybearer.events.streams import Stream
from keybearer.http import problems
from keybearer.kit.database import Database
from keybearer.kit.errors import TooMany
from keybearer.kit.listener import Listener
from keybearer.kit.principal import Principal

TENANT = UUID("00000000-0000-7000-8000-000000000001")
DEADLINE = 10.0


@pytest.fixture
def principal() -> Principal:
    now = datetime.now(UTC)
    return Principal(
        tenant_id=TENANT,
        user_id=uuid4(),
        session_id=uuid4(),
        email=None,
        name="Alice",
        avatar_url=None,
        role="member",
        tenant_name="Default",
        expires_at=now + timedelta(hours=1),
        authenticated_at=now,
    )


@pytest.fixture
async def events(db: Database) -> AsyncIterator[Events]:
    events, listener = Events(db), Listener(db.connect, db.announce)
    listener.subscribe(events)
    listener.start()
    yield events
    await listener.stop()
    events.stop()


@pytest.fixture
def publish(db: Database, events: Events, principal: Principal):
    async def publish(name: str, user_id: UUID | None = None, **data: object) -> None:
        async with db.transaction(TENANT) as tx:
            await events.publish(tx, TENANT, user_id or principal.user_id, name, data)

    return publish


class Reader:
    """Reads frames, with a deadline so that a lost event fails instead of hanging."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def frame(self) -> dict[str, str]:
        """The next event; comments are passed over."""
        while True:
            chunk = await asyncio.wait_for(anext(self._chunks), DEADLINE)
            if chunk.startswith(b"id:"):
                lines = chunk.decode().rstrip("\n").split("\n")
                return dict(line.split(": ", 1) for line in lines)


def reader(stream: Stream) -> Reader:
    return Reader(stream.frames())


async def test_an_event_is_told_to_its_person_alone(events: Events, publish, principal: Principal) -> None:
    mine = reader(await events.open(principal, None))
    await publish("connection.changed", uuid4(), id="theirs")
    await publish("connection.changed", id="c1", provider="spotify", state="active")
    frame = await mine.frame()
    assert frame["event"] == "connection.changed"
    assert json.loads(frame["data"]) == {"id": "c1", "provider": "spotify", "state": "active"}


async def test_a_failed_transaction_tells_nothing(events: Events, publish, db, principal: Principal) -> None:
    mine = reader(await events.open(principal, None))
    async with db.transaction(TENANT) as tx:
        await events.publish(tx, TENANT, principal.user_id, "grant.revoked", {"id": "never"})
        await tx.rollback()
    await publish("grant.revoked", id="yes")
    assert json.loads((await mine.frame())["data"]) == {"id": "yes"}


async def test_what_was_before_is_not_told_but_what_was_missed_is(events: Events, publish, principal) -> None:
    await publish("grant.revoked", id="before")
    stream = await events.open(principal, None)
    mine = reader(stream)
    await publish("grant.revoked", id="1")
    first = await mine.frame()
    stream.close()
    await publish("grant.revoked", id="2")
    await publish("grant.revoked", id="3")
    again = reader(await events.open(principal, first["id"]))
    assert [json.loads((await again.frame())["data"])["id"] for _ in range(2)] == ["2", "3"]


async def test_a_late_commit_with_an_earlier_id_is_told(events: Events, publish, db, principal) -> None:
    stream = await events.open(principal, None)
    mine = reader(stream)
    async with db.transaction(TENANT) as slow:
        await events.publish(slow, TENANT, principal.user_id, "grant.revoked", {"id": "slow"})
        await publish("grant.revoked", id="quick")
        quick = await mine.frame()
        stream.close()
    assert json.loads(quick["data"]) == {"id": "quick"}
    again = reader(await events.open(principal, quick["id"]))
    assert json.loads((await again.frame())["data"]) == {"id": "slow"}


async def test_a_position_of_another_cluster_starts_now(events: Events, publish, principal) -> None:
    mine = reader(await events.open(principal, f"{2**62}-1"))
    await publish("grant.revoked", id="1")
    assert json.loads((await mine.frame())["data"]) == {"id": "1"}


async def test_many_events_arrive_once_each_and_in_order(events: Events, db, principal) -> None:
    mine = reader(await events.open(principal, None))
    async with db.transaction(TENANT) as tx:
        for number in range(250):
            await events.publish(tx, TENANT, principal.user_id, "grant.revoked", {"id": number})
    assert [json.loads((await mine.frame())["data"])["id"] for _ in range(250)] == list(range(250))


async def test_a_sixth_stream_is_refused_until_one_ends(events: Events, principal) -> None:
    streams = [await events.open(principal, None) for _ in range(5)]
    with pytest.raises(TooMany, match="too_many_streams"):
        await events.open(principal, None)
    streams[0].close()
    await events.open(principal, None)


async def test_a_quiet_stream_comments_and_looks_for_itself(db, principal) -> None:
    deaf = Events(db, comment_seconds=0.05)  # nobody subscribed it to a listener
    stream = await deaf.open(principal, None)
    chunks = stream.frames()
    assert await anext(chunks) == b"retry: 2000\n\n"
    assert (await asyncio.wait_for(anext(chunks), DEADLINE)).startswith(b":")
    async with db.transaction(TENANT) as tx:
        await deaf.publish(tx, TENANT, principal.user_id, "grant.revoked", {"id": "1"})
    assert json.loads((await Reader(chunks).frame())["data"]) == {"id": "1"}
    stream.close()
    assert [chunk async for chunk in chunks] == []


async def test_a_stream_ends_with_the_sessions_time(events: Events, principal) -> None:
    object.__setattr__(principal, "expires_at", datetime.now(UTC))
    stream = await events.open(principal, None)
    assert [chunk async for chunk in stream.frames()] == [b"retry: 2000\n\n"]


async def test_prune_removes_what_is_older_than_an_hour(db, publish, database) -> None:
    await publish("grant.revoked", id="old")
    superuser = await asyncpg.connect(database.superuser_url, server_settings={"search_path": "keybearer"})
    await superuser.execute("UPDATE outbox SET created_at = now() - interval '61 minutes'")
    await publish("grant.revoked", id="new")
    await background.prune(db)
    assert await superuser.fetchval("SELECT array_agg(data->>'id') FROM outbox") == ["new"]
    await superuser.close()


async def test_erase_forgets_the_persons_events_alone(db, events, publish, principal, database) -> None:
    await publish("grant.revoked", id="mine")
    await publish("grant.revoked", uuid4(), id="theirs")
    async with db.transaction(TENANT) as tx:
        await events.erase(tx, TENANT, principal.user_id)
    superuser = await asyncpg.connect(database.superuser_url, server_settings={"search_path": "keybearer"})
    assert await superuser.fetchval("SELECT array_agg(data->>'id') FROM outbox") == ["theirs"]
    await superuser.close()


class Door:
    """Signs in one person, and ends the session when told."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.waiting: list[Callable[[], None]] = []
        self.left = asyncio.Event()

    async def authenticate(self, _request: object) -> Principal:
        return self.principal

    async def on_session_end(self, _request: object, close: Callable[[], None]) -> Callable[[], None]:
        self.waiting.append(close)

        def unregister() -> None:
            self.waiting.remove(close)
            self.left.set()

        return unregister


@asynccontextmanager
async def serving(events: Events, door: Door) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    app.state.authenticator = door
    problems.install(app)
    app.include_router(routes(events, door.on_session_end), prefix="/api")
    listening = socket.create_server(("127.0.0.1", 0))  # connections wait in it until the server has started
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    port = listening.getsockname()[1]
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=NO_CERTIFICATES
    ) as client:
        yield client
    server.should_exit = True
    events.stop()
    await asyncio.wait_for(task, DEADLINE)


async def test_over_http_events_arrive_and_the_end_of_the_session_ends_the_stream(events, publish, principal) -> None:
    door = Door(principal)
    async with serving(events, door) as client, client.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        chunks = answer.aiter_raw()
        await publish("session.revoked", id="s1")
        frame = await Reader(chunks).frame()
        assert frame["event"] == "session.revoked"
        door.waiting[0]()
        assert [chunk async for chunk in chunks] == []
        assert door.waiting == []


async def test_over_http_a_page_that_leaves_frees_its_stream(events, principal) -> None:
    door = Door(principal)
    async with serving(events, door) as client:
        for _ in range(7):
            async with client.stream("GET", "/api/events") as answer:
                assert answer.status_code == 200
                await anext(answer.aiter_raw())
            await asyncio.wait_for(door.left.wait(), DEADLINE)
            door.left.clear()


async def test_over_http_a_sixth_stream_is_a_problem(events, principal) -> None:
    async with serving(events, Door(principal)) as client:
        for _ in range(5):
            await events.open(principal, None)
        answer = await client.get("/api/events")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")


async def test_a_stream_of_a_server_that_stops_ends(events, principal) -> None:
    async with serving(events, Door(principal)) as client, client.stream("GET", "/api/events") as answer:
        chunks = answer.aiter_raw()
        await anext(chunks)
        events.stop()
        assert [chunk async for chunk in chunks] == []
