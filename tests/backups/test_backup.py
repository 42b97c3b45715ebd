"""`keybearer backup`: one moment, all tenants, nothing readable without the keyring, nothing half written."""

import asyncio
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from backups.world import TENANT, World, command, process
from keybearer.backups import archive, folder, making
from keybearer.backups.errors import BackupError
from keybearer.keys import keyring
from keybearer.keys.service import Keys
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.ledger.background import StoredBooks

LIMITED = """
import resource, sys
sys.dont_write_bytecode = True  # the limit would cut compiled modules short, for every later process
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from keybearer.cli.main import app
app()
"""


def contents(path: Path, ring: keyring.Keyring) -> dict[str, bytes]:
    with archive.opened(path, ring) as reader:
        return {table.name: b"".join(reader.rows()) for table in reader.tables()}


async def test_every_tenants_rows_are_in_it_and_what_is_short_lived_is_not(populated: World) -> None:
    made = await making.make(populated.owner, populated.keys, populated.archives)

    assert made.path.parent == populated.archives
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert {name: made.counts[name] for name in ("users", "connections", "data_keys", "ledger", "tenants")} == {
        "users": 3, "connections": 3, "data_keys": 3, "ledger": 3, "tenants": 2,
    }  # fmt: skip
    tables = {row[0] for row in await populated.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'keybearer'")}
    assert tables - made.counts.keys() == {
        "alembic_version", "leases", "outbox", "flows", "passkey_challenges", "sessions", "bearers", "refresh_journal",
        "refresh_families", "refresh_tokens", "api_keys", "invitations", "errands", "letters",
    }  # fmt: skip
    found = contents(made.path, populated.keys.keyring)
    assert "Zoë" in found["users"].decode()
    names = list(made.counts)
    assert names.index("tenants") < names.index("users") < names.index("connections") < names.index("grant_connections")


async def test_nothing_can_be_read_without_the_keyring(populated: World) -> None:
    made = await making.make(populated.owner, populated.keys, populated.archives)
    raw = made.path.read_bytes()
    for secret in (b"Alice", b"alice@example.com", b"at-Alice", str(TENANT).encode(), populated.keys.keyring.key("k1")):
        assert secret not in raw
    found = b"".join(contents(made.path, populated.keys.keyring).values())
    assert b"at-Alice" not in found
    assert populated.keys.keyring.key("k1") not in found


async def test_it_says_what_it_is(populated: World) -> None:
    made = await making.make(populated.owner, populated.keys, populated.archives)
    manifest, counts = archive.check(made.path, populated.keys.keyring)
    assert (manifest, counts) == (made.manifest, made.counts)
    assert datetime.now(UTC) - manifest.made_at < timedelta(seconds=30)
    assert manifest.keks == ("k1",)
    assert manifest.keyring == populated.keys.keyring.revision
    last = (await StoredBooks(populated.db).batches(0, 10))[-1]
    assert (manifest.ledger.era, manifest.ledger.batch, manifest.ledger.row) == (1, last.seal.no, 3)
    assert manifest.ledger.batch_hash == last.seal.hash.hex()


async def test_it_is_of_one_moment(populated: World) -> None:
    """Somebody leaves and somebody comes while the tables are read one after the other."""
    told: list[str] = []

    def change(line: str) -> None:
        told.append(line)
        if line == "Reading users":
            subprocess.run([sys.executable, "-c", CHANGE, populated.database.superuser_url], check=True, timeout=30)

    made = await making.make(populated.owner, populated.keys, populated.archives, tell=change)
    assert "Reading users" in told
    assert await populated.one("SELECT count(*) FROM ledger") == 2
    assert await populated.one("SELECT count(*) FROM users") == 4
    assert (made.counts["ledger"], made.counts["users"]) == (3, 3)


CHANGE = """
import asyncio, sys, asyncpg
async def change():
    connection = await asyncpg.connect(sys.argv[1], server_settings={"search_path": "keybearer"})
    await connection.execute("DELETE FROM ledger WHERE id = (SELECT max(id) FROM ledger)")
    new = "INSERT INTO users (tenant_id, id, name) SELECT id, gen_random_uuid(), 'New' FROM tenants LIMIT 1"
    await connection.execute(new)
    await connection.close()
asyncio.run(change())
"""


async def test_an_empty_installation_can_be_backed_up(world: World) -> None:
    made = await making.make(world.owner, world.keys, world.archives)
    assert (made.manifest.ledger.batch, made.manifest.ledger.batch_hash, made.counts["users"]) == (0, None, 0)


async def test_old_archives_go_and_the_newest_never_does(populated: World) -> None:
    now = datetime.now(UTC)

    def aged(days: float) -> Path:
        path = folder.path_of(populated.archives, now - timedelta(days=days))
        path.write_bytes(b"old")
        return path

    young, old, older = aged(29), aged(31), aged(400)
    (populated.archives / "notes.txt").write_text("mine")
    (populated.archives / "keybearer-20200101T000000Z.kbb.bak").write_text("mine")
    left_over = populated.archives / ".keybearer-20200101T000000Z.kbb.7.unfinished"
    left_over.write_bytes(b"half")
    os.utime(left_over, (0, 0))

    assert folder.remove_older(populated.archives, 1, now) == [older, old]
    assert young.exists()
    old.write_bytes(b"old")
    made = await making.make(populated.owner, populated.keys, populated.archives, keep_days=30)

    assert made.removed == (old,)
    left = {path.name for path in populated.archives.iterdir()}
    assert left == {young.name, made.path.name, "notes.txt", "keybearer-20200101T000000Z.kbb.bak"}


async def test_a_failure_leaves_no_file_and_the_older_archives(populated: World, monkeypatch) -> None:
    older = folder.path_of(populated.archives, datetime.now(UTC) - timedelta(days=40))
    older.write_bytes(b"old")
    with pytest.raises(ConfigurationError, match="no member of keybearer_backup"):
        await making.make(populated.db, populated.keys, populated.archives, keep_days=1)
    with pytest.raises(BackupError, match="is no folder"):
        await making.make(populated.owner, populated.keys, populated.folder / "absent", keep_days=1)
    assert list(populated.archives.iterdir()) == [older]
    runs = await populated.sql("SELECT kind, outcome, problem FROM maintenance_runs")
    assert [(row["kind"], row["outcome"]) for row in runs] == [("backup", "failed")]
    assert "is no folder" in runs[0]["problem"]


async def test_success_is_written_down(populated: World) -> None:
    made = await making.make(populated.owner, populated.keys, populated.archives)
    (run_,) = await populated.sql("SELECT * FROM maintenance_runs")
    assert (run_["kind"], run_["outcome"], run_["archive"], run_["problem"]) == ("backup", "ok", made.path.name, None)


async def test_the_command_says_what_it_made(populated: World) -> None:
    done = await asyncio.to_thread(process, populated, "backup", "--to", str(populated.archives), "--keep-days", "30")
    assert done.returncode == 0, done.stderr
    assert re.search(r"keybearer-\d{8}T\d{6}Z\.kbb: \d+ rows, [\d,]+ bytes, read back and whole", done.stdout)
    assert "It needs k1 of the keyring, which is not in it" in done.stdout
    assert archive.check(folder.newest(populated.archives).path, populated.keys.keyring)


@pytest.mark.parametrize(
    ("environment", "to", "expected"),
    [
        ({"KEYRING_DIR": "/absent"}, None, "KEYBEARER_KEYRING_DIR: /absent cannot be read"),
        ({"KEYRING_DIR": ""}, None, "KEYBEARER_KEYRING_DIR is not set"),
        ({"MIGRATION_DATABASE_URL": ""}, None, "KEYBEARER_MIGRATION_DATABASE_URL is not set"),
        (
            {"MIGRATION_DATABASE_URL": "postgresql://x@localhost:1/x"},
            None,
            "KEYBEARER_MIGRATION_DATABASE_URL: the data",
        ),
        ({}, "/absent", "/absent is no folder. Make it, or mount"),
        ({}, "/proc", "/proc cannot be written to"),
    ],
)
async def test_the_command_says_what_to_do(populated: World, environment, to, expected: str) -> None:
    done = await asyncio.to_thread(command, populated, "backup", "--to", to or str(populated.archives), **environment)
    assert done.returncode == 1
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert list(populated.archives.iterdir()) == []


async def test_a_full_volume_is_said_to_be_full_and_leaves_nothing(populated: World) -> None:
    """A limit on the size of files stands for the volume: the same error at the same place."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", LIMITED, "backup", "--to", str(populated.archives)],
        env=populated.environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "There is no room left" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "no room" in await populated.one("SELECT problem FROM maintenance_runs")
    assert list(populated.archives.iterdir()) == []


async def test_a_missing_primary_key_is_said(world: World) -> None:
    ring = keyring.Keyring({"k2": os.urandom(32)}, "k2")
    made = await making.make(world.owner, Keys(ring), world.archives)
    assert made.key_id == "k2"
    assert made.manifest.keks == ("k1",)


MEASURED = """
import resource, sys
from keybearer.cli.main import app
try:
    app()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.long
async def test_memory_stays_flat(populated: World) -> None:
    """100 MB that do not compress pass through, out and in again."""
    for _ in range(25):
        await populated.sql(
            "INSERT INTO ledger (tenant_id, uid, action, outcome, actor_kind, detail)"
            " SELECT $1, gen_random_uuid(), 'sign_in', 'ok', 'person',"
            " (SELECT string_agg(sha512((random()::text || n || k)::bytea), ''::bytea) FROM generate_series(1, 64) k)"
            " FROM generate_series(1, 1000) n",
            TENANT,
        )
    await populated.seal()

    async def kilobytes(*arguments: str) -> int:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", MEASURED, *arguments],
            env=populated.environment(),
            capture_output=True,
            text=True,
            timeout=100,
        )
        return int(done.stderr.split()[-1])

    nothing = await kilobytes("backup", "--to", "/absent")
    assert await kilobytes("backup", "--to", str(populated.archives)) - nothing < 40_000
    assert folder.newest(populated.archives).path.stat().st_size > 100_000_000
    # Besides the rows that the ledger's check holds at once.
    assert await kilobytes("restore", "--drill", "--from", str(populated.archives)) - nothing < 120_000
    assert await populated.one("SELECT outcome FROM maintenance_runs WHERE kind = 'drill'") == "ok"


async def test_the_application_may_not_back_up(world: World) -> None:
    db = Database(world.database.url)
    with pytest.raises(ConfigurationError):
        await making.make(db, world.keys, world.archives)
    await db.close()
