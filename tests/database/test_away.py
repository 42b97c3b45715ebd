"""The database goes away and comes back: callers get an error they can act on, and then answers again."""

import asyncio

import asyncpg
import pytest
from keybearer.kit.database import Database
from keybearer.kit.errors import Unavailable


async def cut(database, name: str) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", name)
    await connection.close()


async def test_reads_go_on_after_every_pooled_connection_was_cut(database, db: Database) -> None:
    await asyncio.gather(*(db.read("bearer_resolve", b"x" * 32) for _ in range(30)))
    await cut(database, "keybearer_app_a")
    assert await asyncio.gather(*(db.read("bearer_resolve", b"x" * 32) for _ in range(30))) == [[]] * 30


async def test_a_server_without_a_free_connection_is_unavailable(database) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    db = Database(database.url)
    with pytest.raises(Unavailable, match="database_unavailable"):
        await db.read("bearer_resolve", b"x" * 32)
    with pytest.raises(Unavailable, match="database_unavailable"):
        await db.ping()
    await connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT -1")
    assert await db.read("bearer_resolve", b"x" * 32) == []
    await db.close()
    await connection.close()
