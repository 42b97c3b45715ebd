"""What the database refuses is said in errors that a caller can act on, without the values."""

import asyncio
from uuid import UUID

import pytest
from keybearer.kit.database import Database
from keybearer.kit.errors import BadInput, Unavailable
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

TENANT = UUID("00000000-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("SELECT CAST(:value AS text)", "a\x00b"),
        ("SELECT CAST(:value AS text)", "\ud800"),
        ("SELECT CAST(:value AS bigint)", 10**30),
        ("SELECT CAST(CAST(:value AS text) AS int)", "x"),
    ],
)
async def test_a_value_that_cannot_be_stored_is_bad_input(db: Database, statement: str, value: object) -> None:
    with pytest.raises(BadInput) as refused:
        async with db.transaction(TENANT) as tx:
            await tx.execute(text(statement), {"value": value})
    assert refused.value.code == "request_invalid"


async def test_waiting_for_a_lock_in_vain_is_unavailable(db: Database) -> None:
    async with db.transaction(None) as tx:
        await tx.execute(text("SELECT pg_advisory_xact_lock(1)"))
        with pytest.raises(Unavailable):
            await _lock_soon(db)


async def test_a_full_pool_is_unavailable_and_recovers(database) -> None:
    db = Database(database.url, pool_size=1)
    db._engine.pool._timeout = 0.1  # ten seconds would be waited for
    async with db.transaction(None):
        with pytest.raises(Unavailable):
            async with db.transaction(None):
                pass
    await db.ping()
    await db.close()


async def test_an_error_does_not_say_the_values(db: Database) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with db.transaction(TENANT) as tx:
            await tx.execute(text("SELECT * FROM nowhere WHERE a = :a"), {"a": "sbx_planted"})
    assert "sbx_planted" not in str(refused.value)


async def test_a_cancelled_read_costs_no_connection(database) -> None:
    db = Database(database.url, pool_size=1)
    for _ in range(5):
        task = asyncio.create_task(db.read("bearer_resolve", b"x" * 32))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await db.read("bearer_resolve", b"x" * 32) == []
    await db.close()


async def _lock_soon(db: Database) -> None:
    async with db.transaction(None) as tx:
        await tx.execute(text("SET LOCAL lock_timeout = 50"))
        await tx.execute(text("SELECT pg_advisory_xact_lock(1)"))
