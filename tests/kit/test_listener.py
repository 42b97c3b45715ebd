"""The listening connection: it clears what is known only once it hears everything, and never ends silently."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from keybearer.kit.database import Database, notify
from keybearer.kit.listener import FRESH_SECONDS, Listener


class Notebook:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.cleared = 0
        self.changed = asyncio.Event()

    def notified(self, kind: str, subject: str) -> None:
        self.heard.append((kind, subject))
        self.changed.set()

    def disconnected(self) -> None:
        self.cleared += 1
        self.changed.set()


async def until(listener: Listener, *, fresh: bool) -> None:
    async with asyncio.timeout(10):
        while listener.fresh is not fresh:  # noqa: ASYNC110 -- time alone changes it
            await asyncio.sleep(0.01)


@pytest.fixture
async def listening(db: Database) -> AsyncIterator[tuple[Listener, Notebook]]:
    listener, notebook = Listener(db.connect, db.announce), Notebook()
    listener.subscribe(notebook)
    listener.start()
    await until(listener, fresh=True)
    yield listener, notebook
    await listener.stop()


async def test_news_come_in_order_after_the_commit(db: Database, listening: tuple[Listener, Notebook]) -> None:
    _, notebook = listening
    async with db.transaction(None) as tx:
        for n in range(3):
            await notify(tx, "user", n)
        await asyncio.sleep(0)
        assert notebook.heard == []
    async with asyncio.timeout(5):
        while len(notebook.heard) < 3:
            notebook.changed.clear()
            await notebook.changed.wait()
    assert notebook.heard == [("user", "0"), ("user", "1"), ("user", "2")]


async def test_a_process_knows_its_own_news_with_the_commit(db: Database) -> None:
    """Whoever ends a session and asks again, of the same process, must not be served from memory once more."""
    notebook = Notebook()
    db.on_notify(notebook.notified)
    async with db.transaction(None) as tx:
        await notify(tx, "user", 1)
        assert notebook.heard == []
    assert notebook.heard == [("user", "1")]
    with contextlib.suppress(ZeroDivisionError):
        async with db.transaction(None) as tx:
            await notify(tx, "user", 2)
            raise ZeroDivisionError
    async with db.transaction(None):
        pass
    assert notebook.heard == [("user", "1")]


async def test_it_listens_again_and_clears_once_it_hears(database, listening: tuple[Listener, Notebook]) -> None:
    listener, notebook = listening
    before = notebook.cleared
    admin = await asyncpg.connect(database.superuser_url)
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keybearer'")
    await until(listener, fresh=False)
    assert notebook.cleared > before
    await until(listener, fresh=True)
    assert notebook.cleared >= before + 2, "once when it was lost, and once when nothing can be missed any more"
    await admin.execute("SELECT pg_notify('keybearer', 'tenant:x')")
    async with asyncio.timeout(5):
        while ("tenant", "x") not in notebook.heard:
            notebook.changed.clear()
            await notebook.changed.wait()
    await admin.close()


async def test_nothing_that_was_read_before_listening_is_kept(db: Database) -> None:
    """A commit between reading and LISTEN reaches nobody, so whatever was known then must go afterwards."""
    events: list[str] = []

    class Watched(Notebook):
        def disconnected(self) -> None:
            events.append("cleared")

    class Connection:
        """The real one, and a note when it listens."""

        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        async def add_listener(self, *arguments: Any) -> None:
            await self._real.add_listener(*arguments)
            events.append("listening")

    async def connect() -> Any:
        return Connection(await db.connect())

    listener = Listener(connect, db.announce)
    listener.subscribe(Watched())
    listener.start()
    await until(listener, fresh=True)
    await listener.stop()
    assert events[:2] == ["listening", "cleared"]


async def test_whatever_goes_wrong_it_tries_again(db: Database) -> None:
    failures = iter([ValueError("odd"), OSError("away"), None])

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return await db.connect()

    listener = Listener(connect, db.announce)
    listener.start()
    await until(listener, fresh=True)
    await listener.stop()


async def test_a_listener_of_another_database_proves_nothing(db: Database, template) -> None:
    """Revocations would never reach it, so it must not let anything be served from memory."""
    elsewhere = Database(template.url)
    listener = Listener(elsewhere.connect, db.announce)
    listener.start()
    await asyncio.sleep(2 * FRESH_SECONDS)
    assert not listener.fresh
    await listener.stop()
    await elsewhere.close()


def test_before_the_first_proof_nothing_is_fresh() -> None:
    now = [0.0]
    never: Any = None
    listener = Listener(never, never, monotonic=lambda: now[0])
    assert not listener.fresh
    assert FRESH_SECONDS == 0.7
