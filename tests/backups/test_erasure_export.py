"""The erasure log of an installation whose servers cannot write one: brought up to date from the ledger."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from backups.world import TENANT, World, command
from keybearer.backups import making
from keybearer.keys import erasures
from keybearer.keys.erasures import Erasure


@pytest.fixture
def log(world: World) -> Path:
    log = world.folder / "erasures"
    log.mkdir()
    return log


async def erase(world: World, person: UUID, tenant: UUID = TENANT) -> None:
    domains = world.domains(world.db)
    async with world.db.transaction(tenant) as tx:
        assert await domains.erase_again(tx, tenant, person)


async def export(world: World, log: Path) -> str:
    done = await asyncio.to_thread(command, world, "backup", "--erasures-to", str(log))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_whoever_left_is_in_the_log_once(populated: World, log: Path) -> None:
    assert "0 deleted people added" in await export(populated, log)
    assert list(log.iterdir()) == []
    await erase(populated, populated.people[0])
    tenant = await populated.one("SELECT tenant_id FROM users WHERE name = 'Zoë'")
    await erase(populated, populated.people[2], tenant)

    assert "2 deleted people added" in await export(populated, log)

    logged = erasures.read(log)
    assert [(each.tenant_id, each.user_id) for each in logged] == [
        (TENANT, populated.people[0]),
        (tenant, populated.people[2]),
    ]
    recorded = await populated.sql("SELECT at, era, xid::text FROM ledger WHERE action = 'account.erased' ORDER BY id")
    assert [(each.at, each.era, str(each.xid)) for each in logged] == [tuple(row) for row in recorded]
    assert "0 deleted people added" in await export(populated, log)
    await erase(populated, populated.people[1])
    assert "1 deleted people added" in await export(populated, log)
    assert len(erasures.read(log)) == 3


async def test_who_left_after_the_archive_stays_deleted(populated: World, target: World, log: Path) -> None:
    made = await making.make(populated.owner, populated.keys, populated.archives)
    await erase(populated, populated.people[1])
    await export(populated, log)
    done = await asyncio.to_thread(command, target, "restore", str(made.path), ERASURE_LOG_DIR=str(log))
    assert done.returncode == 0, done.stderr
    assert "Deleted again: 1 people. Servers may start." in done.stdout
    assert await target.one("SELECT count(*) FROM users") == 2


async def test_one_run_makes_an_archive_and_the_log(populated: World, log: Path) -> None:
    await erase(populated, populated.people[0])
    both = ["backup", "--to", str(populated.archives), "--erasures-to", str(log)]
    done = await asyncio.to_thread(command, populated, *both)
    assert done.returncode == 0, done.stderr
    assert len(list(populated.archives.iterdir())) == 1
    assert [each.user_id for each in erasures.read(log)] == [populated.people[0]]


async def test_it_looks_at_erasures_alone(populated: World) -> None:
    """By the index: the ledger has a row for each call, and this runs every few minutes."""
    plan = await populated.sql(
        "EXPLAIN SELECT tenant_id, user_id, at, era, xid FROM ledger WHERE action = 'account.erased' ORDER BY id"
    )
    assert any("ledger_erased" in row[0] for row in plan), plan


async def test_what_is_wrong_is_said(populated: World, log: Path) -> None:
    absent = await asyncio.to_thread(command, populated, "backup", "--erasures-to", str(log / "absent"))
    assert absent.returncode == 1
    assert "is no folder. Make it, or mount the volume that it is on." in absent.stderr
    (log / "a.jsonl").write_text("damaged\n")
    damaged = await asyncio.to_thread(command, populated, "backup", "--erasures-to", str(log))
    assert damaged.returncode == 1
    assert "is damaged, so nobody can tell who was erased" in damaged.stderr
    for arguments in ([], ["--keep-days", "3"], ["--erasures-to", "/x", "--keep-days", "3"]):
        assert command(populated, "backup", *arguments).returncode == 2


async def test_the_log_may_be_readable_alone(populated: World, target: World, log: Path) -> None:
    """Where a restore runs, nobody has to write to it."""
    made = await making.make(populated.owner, populated.keys, populated.archives)
    person = populated.people[0]
    erasures.ErasureLog(log).append(Erasure(TENANT, person, made.manifest.made_at, 1, 5))
    log.chmod(0o500)
    done = await asyncio.to_thread(command, target, "restore", str(made.path), ERASURE_LOG_DIR=str(log))
    log.chmod(0o700)
    assert "Deleted again: 1 people" in done.stdout, done.stderr
