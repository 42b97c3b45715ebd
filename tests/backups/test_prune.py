"""`keybearer prune`: what is over goes, what is not stays, and the ledger's old batches can still be proved."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from backups.world import TENANT, World, command
from keybearer.backups import background, metrics
from keybearer.cli import prune as pruning
from keybearer.grants import background as grants


def prune(world: World, *arguments: str, **environment: str):
    return asyncio.to_thread(command, world, "prune", *arguments, **environment)


@pytest.fixture
async def old(populated: World) -> World:
    """People of long ago; their ledger is in two batches."""
    await populated.seal()
    return populated


async def count(world: World, table: str) -> int:
    return int(await world.one(f"SELECT count(*) FROM {table}"))


async def test_what_is_over_goes_and_what_is_not_stays(old: World) -> None:
    alice, bob, _ = old.people
    await old.sql("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE user_id = $1", alice)
    await old.sql(
        "UPDATE bearers SET expires_at = now() - interval '1 s'"
        " WHERE kind = 'session' AND subject_id IN (SELECT id FROM sessions WHERE user_id = $1)", alice,
    )  # fmt: skip
    await old.sql("UPDATE grants SET revoked_at = now() - interval '91 days' WHERE user_id = $1", alice)
    await old.sql("UPDATE grants SET expires_at = now() - interval '89 days' WHERE user_id = $1", bob)
    await old.sql(
        "INSERT INTO outbox (tenant_id, user_id, name, data, created_at)"
        " VALUES ($1, $2, 'grant.revoked', '{}', now() - interval '2 h'), ($1, $2, 'grant.revoked', '{}', now())",
        TENANT, alice,
    )  # fmt: skip
    for days, started in ((8, "finished"), (1, "young")):
        await old.sql(
            "INSERT INTO refresh_journal (tenant_id, id, connection_id, epoch, lease_epoch, finished_at, outcome)"
            " SELECT tenant_id, gen_random_uuid(), id, -1, 1, now() - make_interval(days => $1), $2"
            " FROM connections WHERE user_id = $3", days, started, alice,
        )  # fmt: skip
    await old.sql("INSERT INTO maintenance_runs (kind, at, outcome, seconds) VALUES ('drill', '2020-01-01', 'ok', 1)")

    done = await prune(old)

    assert done.returncode == 0, done.stderr
    assert "2 expired sessions and tokens" in done.stdout
    assert "1 events that were delivered" in done.stdout
    assert "1 finished refreshes" in done.stdout
    assert "1 grants that ended over 90 days ago" in done.stdout
    assert "The ledger was left as it is" in done.stdout
    left = {table: await count(old, table) for table in ("sessions", "grants", "grant_connections", "outbox")}
    assert left == {"sessions": 2, "grants": 2, "grant_connections": 2, "outbox": 1}
    assert await old.one("SELECT outcome FROM refresh_journal") == "young"
    assert await count(old, "ledger") == 3
    assert [row[0] for row in await old.sql("SELECT kind FROM maintenance_runs")] == ["prune"]
    await background.measure(old.db)
    assert metrics.LAST_SUCCESS["prune"]._value.get() == pytest.approx(time.time(), abs=60)


async def test_grants_go_a_few_at_a_time(old: World, monkeypatch) -> None:
    monkeypatch.setattr(grants, "_AT_ONCE", 2)
    await old.sql("UPDATE grants SET expires_at = now() - interval '1 year'")
    assert await grants.prune(old.db) == 3
    assert await count(old, "grants") == 0


async def test_the_ledgers_old_batches_move_and_are_proved_where_they_are(old: World, monkeypatch) -> None:
    archive = old.folder / "ledger"
    archive.mkdir()
    assert "0 ledger batches" in (await prune(old, "--ledger-to", str(archive))).stdout
    assert list(archive.iterdir()) == []

    await old.db.close()
    later(monkeypatch, days=400)
    done = await prune(old, "--ledger-to", str(archive), "--ledger-days", "365")
    assert done.returncode == 0, done.stderr
    assert "1 ledger batches with 2 rows moved to files" in done.stdout
    assert "ledger-000000000001-000000000001.jsonl.gz" in done.stdout
    assert await count(old, "ledger") == 1

    blind = await asyncio.to_thread(command, old, "ledger", "verify")
    assert blind.returncode == 0
    assert "Batches up to no. 1, moved to files by" in blind.stdout
    assert "were not looked at. Prove them with --archive" in blind.stdout
    whole = await asyncio.to_thread(command, old, "ledger", "verify", "--archive", str(archive))
    assert whole.returncode == 0
    assert "are as they were sealed" in whole.stdout.splitlines()[-1]
    next(archive.iterdir()).unlink()
    lost = await asyncio.to_thread(command, old, "ledger", "verify", "--archive", str(archive))
    assert lost.returncode == 1
    assert "are NOT whole: batch 1 is missing" in lost.stdout


async def test_a_backup_after_it_restores_with_the_same_beginning(old: World, target: World, monkeypatch) -> None:
    archive, log = old.folder / "ledger", old.folder / "erasures"
    archive.mkdir()
    log.mkdir()
    later(monkeypatch, days=400)
    await prune(old, "--ledger-to", str(archive))
    await asyncio.to_thread(command, old, "backup", "--to", str(old.archives))
    path = next(old.archives.iterdir())
    restored = await asyncio.to_thread(command, target, "restore", str(path), ERASURE_LOG_DIR=str(log))
    assert restored.returncode == 0, restored.stderr
    whole = await asyncio.to_thread(command, target, "ledger", "verify", "--archive", str(archive))
    assert whole.returncode == 0, whole.stdout
    assert "Batches up to no. 1" in whole.stdout


async def test_what_fails_is_said_and_written_down(old: World) -> None:
    absent = await prune(old, "--ledger-to", str(old.folder / "absent"))
    assert absent.returncode == 1
    assert "is no folder. Make it, or mount the volume" in absent.stderr
    other = old.folder / "elsewhere"
    other.mkdir()
    for name in ("primary", "s1"):
        (other / name).write_bytes((old.folder / "signing" / name).read_bytes())
    (other / "primary").write_text("s2")
    refused = await prune(old, "--ledger-to", str(other), SIGNING_KEYRING_DIR=str(other))
    assert refused.returncode == 1
    assert "KEYBEARER_SIGNING_KEYRING_DIR" in refused.stderr
    runs = await old.sql("SELECT outcome, problem FROM maintenance_runs WHERE kind = 'prune'")
    assert [row["outcome"] for row in runs] == ["failed"]
    assert "KEYBEARER_SIGNING_KEYRING_DIR" in runs[0]["problem"]
    await background.measure(old.db)
    assert metrics.LAST_SUCCESS["prune"]._value.get() == 0


def later(monkeypatch, *, days: int) -> None:
    """The command runs that many days from now."""

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(UTC) + timedelta(days=days)

    monkeypatch.setattr(pruning, "datetime", Later)
