"""The database goes away between the provider's answer and the commit: the answer must not be lost (R4.4)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from keybearer.cli import postgres
from keybearer.kit.database import Database
from keybearer.kit.errors import KeybearerError

TENANT = UUID("00000000-0000-7000-8000-000000000001")


class Outage:
    """A cable between the vault and PostgreSQL that can be cut and mended."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.port = 0

    async def begin(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def end(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._socket_path)
        task = asyncio.current_task()
        self._running.add(task)
        try:
            await asyncio.gather(_pump(reader, upstream_writer), _pump(upstream_reader, writer))
        except (OSError, asyncio.CancelledError):
            for one in (writer, upstream_writer):
                one.transport.abort()
        finally:
            self._running.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.fixture
async def outage(postgres_server) -> AsyncIterator[Outage]:
    outage = Outage(str(postgres_server.socket_folder / f".s.PGSQL.{postgres.PORT}"))
    await outage.end()
    yield outage
    await outage.begin()


@pytest.fixture
async def db(database, outage: Outage) -> AsyncIterator[Database]:
    path = database.url.partition("@/")
    name = path[2].partition("?")[0]
    db = Database(f"{path[0]}@127.0.0.1:{outage.port}/{name}?sslmode=disable")
    yield db
    await db.close()


async def test_the_answer_is_stored_when_the_database_is_back_and_handed_out_after_that(
    world, vault, outage, reach
) -> None:
    connection = await world.connect(vault)
    reach("refresh.answered", outage.begin)
    caller = asyncio.create_task(vault.access_token(TENANT, connection.id))
    await asyncio.sleep(0.5)
    assert not caller.done()
    await outage.end()
    assert (await caller).value == "Bearer access-1"
    assert world.upstream.asked == ["refresh-0"]
    assert await world.journal() == ["stored"]


async def test_shutdown_waits_for_an_answer_that_is_not_stored(world, vault, outage, reach) -> None:
    connection = await world.connect(vault)
    away = asyncio.Event()

    async def begin() -> None:
        await outage.begin()
        away.set()

    reach("refresh.answered", begin)
    caller = asyncio.create_task(vault.access_token(TENANT, connection.id))
    await away.wait()
    stopping = asyncio.create_task(vault.stop())
    await asyncio.sleep(0.3)
    assert not stopping.done()
    await outage.end()
    await stopping
    assert (await caller).value == "Bearer access-1"
    assert (await world.row(connection.id))["epoch"] == connection.epoch + 1


async def test_shutdown_does_not_wait_for_ever(world, outage, reach) -> None:
    vault = world.vault(shutdown=0.3)
    connection = await world.connect(vault)
    away = asyncio.Event()

    async def begin() -> None:
        await outage.begin()
        away.set()

    reach("refresh.answered", begin)
    caller = asyncio.create_task(vault.access_token(TENANT, connection.id))
    await away.wait()
    await vault.stop()
    with pytest.raises(KeybearerError, match="shutting_down"):
        await caller


async def test_nothing_is_sent_once_the_process_stops(world, vault) -> None:
    connection = await world.connect(vault)
    await vault.stop()
    with pytest.raises(KeybearerError, match="refresh_in_progress"):
        await vault.access_token(TENANT, connection.id)
    assert world.upstream.asked == []


async def test_a_commit_whose_answer_was_lost_counts_as_stored(world, vault) -> None:
    """The connection breaks after COMMIT reached the server: the second attempt finds its own work."""
    connection = await world.connect(vault)
    broken = []

    @asynccontextmanager
    async def once_broken(tenant_id):
        async with world.db.transaction(tenant_id) as tx:
            yield tx
        if not broken and (await world.row(connection.id))["epoch"] > connection.epoch:
            broken.append(True)
            raise ConnectionResetError

    endings = vault._refresher._process._endings
    endings._db = Breaking(once_broken)
    assert (await vault.access_token(TENANT, connection.id)).value == "Bearer access-1"
    assert broken == [True]
    assert await world.ledger() == [("connection.refreshed", "ok", None)]
    assert world.upstream.revoked == []


class Breaking:
    def __init__(self, transaction) -> None:
        self.transaction = transaction


async def test_a_database_that_is_away_when_asked_is_said_so(world, vault, outage) -> None:
    connection = await world.connect(vault)
    await outage.begin()
    with pytest.raises(KeybearerError, match="database_unavailable"):
        await vault.access_token(TENANT, connection.id)
    await outage.end()
    assert (await vault.access_token(TENANT, connection.id)).value == "Bearer access-1"
    assert world.upstream.asked == ["refresh-0"]
