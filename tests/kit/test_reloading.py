"""What changes in mounted folders is taken without a restart, and what cannot be used is refused and tried again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.kit.listener import Listener
from keybearer.kit.login import Login
from keybearer.kit.reloading import Reloader, Source

A, B = "keybearer_app_a", "keybearer_app_b"


def mounted(folder: Path, version: int, **files: str) -> None:
    """Exchanges a folder's content as the kubelet does: new files behind a new link, renamed over the old one."""
    place = folder / f"..{version}"
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).write_text(content)
    (folder / "..new").symlink_to(place.name)
    (folder / "..new").rename(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


async def test_each_change_is_taken_once(tmp_path: Path) -> None:
    taken: list[str] = []

    async def take() -> bool:
        taken.append((tmp_path / "primary").read_text())
        return True

    mounted(tmp_path, 1, primary="k1")
    reloader = Reloader([Source("keyring", tmp_path, take)])
    await reloader.look()
    await reloader.look()
    mounted(tmp_path, 2, primary="k2")
    await reloader.look()
    await reloader.look()
    assert taken == ["k1", "k2"]


async def test_what_cannot_be_used_is_said_once_and_tried_until_it_can(tmp_path: Path) -> None:
    good = False

    async def take() -> bool:
        if not good:
            raise ConfigurationError("the key is short")
        return True

    (tmp_path / "k1").write_text("short")
    reloader = Reloader([Source("keyring", tmp_path, take)])
    with structlog.testing.capture_logs() as lines:
        await reloader.look()
        await reloader.look()
        good = True
        await reloader.look()
        await reloader.look()
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("reload.refused", "the key is short"),
        ("reload.taken", None),
    ]


async def test_one_that_fails_in_an_unforeseen_way_holds_up_no_other(tmp_path: Path) -> None:
    taken = []

    async def fails() -> bool:
        raise ZeroDivisionError

    async def works() -> bool:
        taken.append(1)
        return True

    await Reloader([Source("a", tmp_path, fails), Source("b", tmp_path, works)]).look()
    assert taken == [1]


@dataclass
class Process:
    """A server as far as its login goes."""

    db: Database
    listener: Listener
    login: Login
    folder: Path
    superuser: "asyncpg.Connection[asyncpg.Record]"

    async def sessions(self, login: str) -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()"
        return int(await self.superuser.fetchval(query, login))


@pytest.fixture
async def process(tmp_path: Path, database) -> AsyncIterator[Process]:
    superuser = await asyncpg.connect(database.superuser_url)
    await superuser.execute(f"ALTER ROLE {B} PASSWORD 'b'")
    mounted(tmp_path, 1, username=A, password="app")
    parts = urlsplit(database.url)
    url = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}?{parts.query}"
    db = Database(url, credentials_dir=tmp_path)
    listener = Listener(db.connect, db.announce)
    listener.start()
    async with asyncio.timeout(10):
        while not listener.fresh:  # noqa: ASYNC110 -- time alone changes it
            await asyncio.sleep(0.01)
    yield Process(db, listener, Login(db, listener), tmp_path, superuser)
    await listener.stop()
    await db.close()
    await superuser.close()


async def test_the_login_changes_and_nothing_of_the_one_before_is_left(process: Process) -> None:
    async with process.db.transaction(None):
        await process.db.ping()
        mounted(process.folder, 2, username=B, password="b")
        assert await process.login.take()
        assert await process.sessions(A) == 1, "the transaction goes on as it began"
        await process.db.ping()
    assert (process.login.username, await process.sessions(A)) == (B, 0)
    assert await process.sessions(B) >= 2, "the pool and the listener"
    assert process.listener.fresh
    assert not await process.login.take()


async def test_revocations_are_heard_all_the_time(process: Process) -> None:
    heard: list[str] = []
    cleared: list[int] = []

    class Notebook:
        def notified(self, _kind: str, subject: str) -> None:
            heard.append(subject)

        def disconnected(self) -> None:
            cleared.append(1)

    process.listener.subscribe(Notebook())
    moving = True

    async def announce() -> int:
        number = 0
        while moving:
            await process.superuser.execute(f"SELECT pg_notify('keybearer', 'user:{number}')")
            number += 1
        return number

    announcing = asyncio.create_task(announce())
    for version, (login, password) in enumerate([(B, "b"), (A, "app"), (B, "b")], start=2):
        mounted(process.folder, version, username=login, password=password)
        assert await process.login.take()
    moving = False
    told = await announcing
    async with asyncio.timeout(5):
        while len(set(heard)) < told:  # noqa: ASYNC110 -- the last ones are on their way
            await asyncio.sleep(0.01)
    assert cleared == [], "what was known stayed known"


async def test_a_login_that_does_not_get_in_is_refused_and_the_one_before_serves(process: Process) -> None:
    mounted(process.folder, 2, username=B, password="not yet")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await process.login.take()
    await process.db.renew()
    await process.db.ping()
    assert process.login.username == A
    mounted(process.folder, 3, username=B, password="b")
    assert await process.login.take()
