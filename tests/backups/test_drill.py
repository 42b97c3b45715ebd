"""A restore for trial: in a database of its own, with a result that monitoring sees, and nothing left behind."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from backups.world import World, command
from keybearer.backups import background, folder, making, metrics, scratch
from keybearer.kit.database import Database


def drill(world: World, **environment: str):
    return asyncio.to_thread(command, world, "restore", "--drill", "--from", str(world.archives), **environment)


async def databases(world: World) -> list[str]:
    return [row[0] for row in await world.sql("SELECT datname FROM pg_database WHERE datname LIKE 'keybearer_drill%'")]


def last_success(kind: str) -> float:
    return metrics.LAST_SUCCESS[kind]._value.get()


async def test_the_newest_archive_is_tried_beside_the_running_installation(populated: World) -> None:
    folder.path_of(populated.archives, datetime.now(UTC) - timedelta(days=2)).write_bytes(b"older, and broken")
    await making.make(populated.owner, populated.keys, populated.archives)
    before = await populated.sql("SELECT * FROM users ORDER BY id")
    await populated.db.ping()  # a server is running, and stays

    done = await drill(populated)

    assert done.returncode == 0, done.stderr
    assert "UTC restores:" in done.stdout
    assert "Its ledger is whole: 2 batches with 3 rows" in done.stdout
    assert "A disaster now would have cost the last" in done.stdout
    assert await databases(populated) == []
    assert await populated.sql("SELECT * FROM users ORDER BY id") == before
    assert await populated.one("SELECT count(*) FROM sessions") == 3
    assert await populated.one("SELECT max(era) FROM ledger_eras") == 1
    run = (await populated.sql("SELECT * FROM maintenance_runs WHERE kind = 'drill'"))[0]
    assert (run["outcome"], run["problem"]) == ("ok", None)
    assert run["archive"] == folder.newest(populated.archives).path.name
    assert 0 <= run["lost_seconds"] < 60
    assert 0 < run["seconds"] < 60


async def test_a_certain_archive_can_be_tried(populated: World) -> None:
    made = await making.make(populated.owner, populated.keys, populated.archives)
    done = await asyncio.to_thread(command, populated, "restore", "--scratch", str(made.path))
    assert done.returncode == 0, done.stderr
    assert await populated.one("SELECT archive FROM maintenance_runs WHERE kind = 'drill'") == made.path.name


async def test_a_broken_archive_fails_the_drill(populated: World) -> None:
    made = await making.make(populated.owner, populated.keys, populated.archives)
    made.path.write_bytes(made.path.read_bytes()[:-1])
    done = await drill(populated)
    assert done.returncode == 1
    assert "was changed or cut off" in done.stderr
    assert await databases(populated) == []
    run = (await populated.sql("SELECT outcome, problem FROM maintenance_runs WHERE kind = 'drill'"))[0]
    assert run["outcome"] == "failed"
    assert "was changed or cut off" in run["problem"]


async def test_a_ledger_that_was_tampered_with_fails_the_drill(populated: World) -> None:
    await populated.sql("UPDATE ledger SET action = 'sign_in' WHERE id = 1")
    await making.make(populated.owner, populated.keys, populated.archives)
    done = await drill(populated)
    assert done.returncode == 1
    assert "The backup restores, but its ledger is not whole: batch 1 (rows 1 to 2) was changed" in done.stderr
    assert await databases(populated) == []


async def test_what_it_lacks_is_said(populated: World) -> None:
    none = await drill(populated)
    assert none.returncode == 1
    assert "There is no archive in" in none.stderr

    await making.make(populated.owner, populated.keys, populated.archives)
    await populated.sql("ALTER ROLE keybearer_migrator NOCREATEDB")
    try:
        forbidden = await drill(populated)
    finally:
        await populated.sql("ALTER ROLE keybearer_migrator CREATEDB")
    assert forbidden.returncode == 1
    assert "ALTER ROLE keybearer_migrator CREATEDB" in forbidden.stderr


async def test_what_a_killed_drill_left_is_dropped_later(populated: World) -> None:
    old, young = "keybearer_drill_20200101000000_0123abcd", f"keybearer_drill_{datetime.now(UTC):%Y%m%d%H%M%S}_0123abcd"
    for name in (old, young, "keybearer_drill_mine"):
        await populated.sql(f"CREATE DATABASE {name} OWNER keybearer_owner")
    async with scratch.database(populated.database.owner_url) as name:
        assert sorted(await databases(populated)) == sorted([young, name, "keybearer_drill_mine"])
    for left in (young, "keybearer_drill_mine"):
        await populated.sql(f"DROP DATABASE {left}")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://a:b%40@db.internal:5432/keybearer?sslmode=verify-full&sslrootcert=/ca",
         "postgresql://a:b%40@db.internal:5432/drill?sslmode=verify-full&sslrootcert=/ca"),
        ("postgresql://a:b@/keybearer?host=/tmp/x&port=5432", "postgresql://a:b@/drill?host=/tmp/x&port=5432"),
        ("postgres://a@db", "postgres://a@db/drill"),
    ],
)  # fmt: skip
def test_the_same_server_and_another_database(url: str, expected: str) -> None:
    assert scratch.inside(url, "drill") == expected


async def test_monitoring_sees_the_newest_success_of_each(populated: World) -> None:
    await background.measure(populated.db)
    assert [last_success(kind) for kind in ("backup", "drill", "prune")] == [0, 0, 0]
    await making.make(populated.owner, populated.keys, populated.archives)
    await drill(populated)
    await populated.sql("UPDATE maintenance_runs SET at = at - interval '1 h' WHERE kind = 'drill'")
    await drill(populated, KEYRING_DIR=str(populated.folder / "absent"))
    await background.measure(populated.db)
    assert last_success("backup") == pytest.approx(time.time(), abs=60)
    assert last_success("drill") == pytest.approx(time.time() - 3600, abs=60)
    assert last_success("prune") == 0


async def test_a_drill_needs_its_folder_and_nothing_else(world: World) -> None:
    for arguments in (
        ["--drill"],
        ["--in-place", "--from", "/x"],
        ["--drill", "--from", "/x", "--in-place"],
        ["a", "--from", "/x"],
        ["a", "--drill", "--from", "/x"],
    ):
        done = await asyncio.to_thread(command, world, "restore", *arguments)
        assert done.returncode == 2, arguments


async def test_the_application_may_make_no_database(world: World) -> None:
    db = Database(world.database.url)
    connection = await db.connect()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE DATABASE forbidden")
    await connection.close()
    await db.close()
