"""The SQL of `keybearer migrate --dry-run`, for whoever wants to see it first or has somebody else run it."""

from collections.abc import Iterator

import asyncpg
import pytest
from keybearer.cli import postgres
from keybearer.migrations import cluster, runner
from keybearer.migrations.runner import Outcome

TABLES = """
    SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
     WHERE table_schema = 'keybearer' ORDER BY 1, 2
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[postgres.Server]:
    """One of its own, because roles are the whole server's."""
    with postgres.running(tmp_path_factory.mktemp("pg"), settings={"fsync": "off"}) as server:
        yield server


async def made(server: postgres.Server, name: str) -> str:
    await cluster.prepare(server.superuser_dsn(), database=name, app_password="app", migration_password="migrator")
    return server.dsn(cluster.MIGRATION_LOGIN, "migrator", name)


async def run(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        if statement is TABLES:
            return list(await connection.fetch(statement))
        await connection.execute(statement)
        return []
    finally:
        await connection.close()


async def test_run_by_hand_it_does_the_same(server: postgres.Server) -> None:
    """From nothing to an older version, and from there to this one."""
    by_hand, by_command = await made(server, "by_hand"), await made(server, "by_command")
    whole = await runner.migrate(by_hand, dry_run=True)
    assert whole.before is None
    assert await run(by_hand, TABLES) == [], "nothing was done"
    await run(by_hand, runner.script(Outcome(None, "0003", whole.pending[:3])))
    rest = await runner.migrate(by_hand, dry_run=True)
    assert (rest.before, rest.pending) == ("0003", whole.pending[3:])
    await run(by_hand, runner.script(rest))
    assert (await runner.migrate(by_hand)).pending == ()

    await runner.migrate(by_command)
    assert await run(by_hand, TABLES) == await run(by_command, TABLES) != []
