"""The two entrances to PostgreSQL (rule R1): explicit transactions, and single-round-trip hot reads.

Both set `kb.tenant`, which row-level security compares with each row; without it no tenant row is visible.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, EmulatedDBAPIException
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.errors import BadInput, KeybearerError, Unavailable

Transaction = AsyncConnection

SCHEMA = "keybearer"
_SERVER_SETTINGS = {
    "search_path": SCHEMA,
    "application_name": "keybearer",
    "statement_timeout": "15000",
    "lock_timeout": "10000",
    "idle_in_transaction_session_timeout": "30000",
    "jit": "off",
}
_CONNECT_SECONDS = 5
_NOTIFIED = "keybearer.notified"
_SET_TENANT = text("SELECT set_config('kb.tenant', :tenant, true)")
_NOTIFY = text("SELECT pg_notify('keybearer', :payload)")
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,  # while a password changes
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the driver says of a connection that was ended between two queries
)

# The connection broke while it was used, so another one may still serve.
_GONE = (
    ConnectionError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
_BUSY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.QueryCanceledError)


class Database:
    """A pool of connections of the application role.

    Every method raises `Unavailable`: `database_unavailable` when PostgreSQL cannot be reached, `database_full` when
    its volume is full.
    """

    def __init__(self, url: str, *, credentials_dir: Path | None = None, pool_size: int = 8) -> None:
        self.address = DatabaseAddress(url, credentials_dir)
        self._pool_size = pool_size
        self._listeners: list[Callable[[str, str], None]] = []
        self._last_login: tuple[str, str] | None = None
        self._generation = 0
        self._generations: WeakKeyDictionary[asyncpg.Connection[Any], int] = WeakKeyDictionary()
        self._engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect_pooled,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=False,
            hide_parameters=True,  # they would be in the text of exceptions, and so in logs
        )
        event.listen(self._engine.sync_engine, "checkin", self._on_checkin)

    async def connect(self) -> "asyncpg.Connection[Any]":
        """A connection of its own; the pool opens its connections with it too.

        With the login that is in the files now, so that the next connection follows a change of them. Where the
        database refuses that one, the last that it let in serves on: files may be wrong, and a rotation half done.
        """
        login = None if self.address.credentials_dir is None else self.address.login()
        try:
            connection = await self._connect_as(login)
        except asyncpg.InvalidAuthorizationSpecificationError:
            if self._last_login is None or self._last_login == login:
                raise
            return await self._connect_as(self._last_login)
        self._last_login = login
        return connection

    async def _connect_as(self, login: tuple[str, str] | None) -> "asyncpg.Connection[Any]":
        return await self.address.connect(login, server_settings=_SERVER_SETTINGS, seconds=_CONNECT_SECONDS)

    async def renew(self) -> None:
        """Goes on with connections of the login as it is now; those in use are closed when they come back."""
        self._generation += 1
        await self._engine.dispose()

    async def _connect_pooled(self) -> "asyncpg.Connection[Any]":
        generation = self._generation
        connection = await self.connect()
        self._generations[connection] = generation
        return connection

    def _on_checkin(self, pooled: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        if pooled is not None and self._generations.get(pooled.driver_connection) != self._generation:
            record.invalidate()

    def on_notify(self, listener: Callable[[str, str], None]) -> None:
        """`listener` gets the kind and subject of each `notify` as soon as its transaction committed.

        So a process knows what it changed itself before it answers, and not some milliseconds later with all others.
        """
        self._listeners.append(listener)

    @asynccontextmanager
    async def transaction(self, tenant_id: UUID | None) -> AsyncIterator[Transaction]:
        """Commits at the end of the block, before anything after it runs.

        `None` sees only the tables that belong to no tenant.
        """
        async with _availability(), self._engine.begin() as connection:
            if tenant_id is not None:
                await connection.execute(_SET_TENANT, {"tenant": str(tenant_id)})
            notified: list[tuple[str, str]] = []
            connection.info[_NOTIFIED] = notified
            yield connection
        for kind, subject in notified:
            for listener in self._listeners:
                listener(kind, subject)

    async def read(self, function: str, *arguments: object) -> list[asyncpg.Record]:
        """Calls one of the SECURITY INVOKER read functions, which set the tenant themselves.

        Retried on other connections, because a read repeats safely and a pooled connection may be a dead one.
        """
        return await self._call(function, arguments)

    async def write(self, function: str, *arguments: object) -> None:
        """The same for a function that writes: one round trip and a commit of its own.

        Only for what may run twice without doing more, because an answer that was lost is asked for again.
        """
        await self._call(function, arguments)

    async def _call(self, function: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
        placeholders = ", ".join(f"${n}" for n in range(1, len(arguments) + 1))
        query = f"SELECT * FROM {function}({placeholders})"  # noqa: S608 -- names of our own functions, never input

        async with _availability():
            # After a restart of the server every pooled connection is a dead one, until each was tried.
            for _ in range(self._pool_size):
                try:
                    return await self._fetch(query, arguments)
                except (*_GONE, asyncpg.OutdatedSchemaCacheError):
                    continue
            return await self._fetch(query, arguments)

    async def _fetch(self, query: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
        pooled = await self._engine.raw_connection()
        try:
            connection: asyncpg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]  # asyncpg's own
            return await connection.fetch(query, *arguments)
        except BaseException as error:
            if connection.is_closed() or not isinstance(error, asyncpg.PostgresError):
                await greenlet_spawn(pooled.invalidate)
            raise
        finally:
            pooled.close()

    async def announce(self, payload: str) -> None:
        """Notifies at once, outside of any transaction of the caller's."""
        async with self.transaction(None) as tx:
            await tx.execute(_NOTIFY, {"payload": payload})

    async def ping(self) -> None:
        async with _availability(), self._engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()

    def hang_up(self) -> None:
        """Cuts every pooled connection now: whoever waits for an answer is told that the database is away."""
        for connection in list(self._generations):
            connection.terminate()


async def notify(tx: Transaction, kind: str, subject: object) -> None:
    """Tells every process at commit that what it knows of `subject` is out of date.

    Kinds: `token` (hex digest), `session`, `user`, `tenant`, `connection` (ids), `event` (a person's id). NOTIFY takes
    a lock of the whole server at commit, so hot paths never do this.
    """
    await tx.execute(_NOTIFY, {"payload": f"{kind}:{subject}"})
    tx.info[_NOTIFIED].append((kind, str(subject)))


@asynccontextmanager
async def _availability() -> AsyncIterator[None]:
    """Says in our errors what a caller can act on; every other error passes unchanged."""
    try:
        yield
    except (PoolTimeout, asyncpg.PostgresError, *_AWAY) as error:
        meaning = _unavailable() if isinstance(error, PoolTimeout) else _meaning(error)
        if meaning is None:
            raise
        raise meaning from error
    except EmulatedDBAPIException as error:  # of opening a pooled connection, before SQLAlchemy wraps anything
        meaning = _meaning(error.__cause__)
        if meaning is None:
            raise
        raise meaning from error
    except DBAPIError as error:
        meaning = _unavailable() if error.connection_invalidated else _meaning(_driver_error(error))
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: BaseException | None) -> KeybearerError | None:
    # The driver refuses some values before it asks PostgreSQL, such as a number of 30 digits.
    refused_by_driver = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    if refused_by_driver or isinstance(error, asyncpg.DataError):
        return BadInput("request_invalid", "The request has a value that cannot be stored, such as a NUL character.")
    if isinstance(error, asyncpg.DiskFullError):
        return Unavailable(
            "database_full",
            "The database has no room left. Nothing was changed. Whoever runs this Keybearer has to make room; then it "
            "goes on by itself.",
            retry_after=30,
        )
    return _unavailable() if isinstance(error, (*_AWAY, *_BUSY)) else None


def _driver_error(error: DBAPIError) -> BaseException | None:
    return error.orig.__cause__ if error.orig is not None else None


def _unavailable() -> Unavailable:
    return Unavailable(
        "database_unavailable",
        "The database did not answer. Nothing was changed. Try again in a few seconds.",
        retry_after=2,
    )
