"""An archive into an empty database: what is there again, what must not be, and what is refused."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from backups.world import TENANT, World, command, process
from keybearer.backups import folder, making, restoring, settling
from keybearer.backups.archive import Table, Writer
from keybearer.backups.errors import BackupError
from keybearer.backups.manifest import Manifest, Position
from keybearer.backups.restoring import Restored
from keybearer.backups.settled import check_settled
from keybearer.keys import keyring
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.erasures import Erasure, ErasureLog
from keybearer.keys.service import Keys
from keybearer.kit.errors import ConfigurationError
from keybearer.ledger.background import StoredBooks
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.ledger.verify import verify
from keybearer.migrations import runner

VERSIONS = Path(runner.__file__).parent / "versions"
SHORT_LIVED = {"alembic_version", "leases", "outbox", "flows", "sessions", "bearers", "refresh_journal"}
SHORT_LIVED |= {"refresh_families", "refresh_tokens", "api_keys", "invitations"}


@pytest.fixture
async def path(populated: World) -> Path:
    return (await making.make(populated.owner, populated.keys, populated.archives)).path


async def restore(target: World, path: Path, erasures: Sequence[Erasure] | None = ()) -> Restored:
    return await restoring.restore(target.owner, target.domains(), path, erasures)


async def rows_of(world: World) -> dict[str, list[dict]]:
    names = await world.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'keybearer' ORDER BY 1")
    return {
        name: sorted((dict(row) for row in await world.sql(f'SELECT * FROM "{name}"')), key=str) for (name,) in names
    }


async def is_empty(target: World) -> bool:
    return await target.one("SELECT to_regnamespace('keybearer') IS NULL")


async def test_everything_is_there_again_but_for_what_must_not_live_on(populated, target, path) -> None:
    restored = await restore(target, path)

    before, after = await rows_of(populated), await rows_of(target)
    assert set(before) == set(after)
    changed = {"connections", "grants", "ledger", "ledger_batches", "ledger_eras", "restores", "maintenance_runs"}
    for name in set(before) - changed - SHORT_LIVED:
        assert after[name] == before[name], name
    for name in SHORT_LIVED - {"alembic_version"}:
        assert after[name] == [], name
    assert [row | {"unverified": False} for row in after["connections"]] == before["connections"]
    assert all(row["unverified"] for row in after["connections"])
    assert [row | {"revoked_at": None} for row in after["grants"]] == before["grants"]
    assert all(row["revoked_at"] for row in after["grants"])
    assert all(row in after["ledger"] for row in before["ledger"])
    assert all(row in after["ledger_batches"] for row in before["ledger_batches"])
    assert restored.counts == {name: len(before[name]) for name in restored.counts} | {"maintenance_runs": 0}
    assert (restored.settled.grants_ended, restored.settled.unverified, restored.settled.erased) == (3, 3, 0)


async def test_tenants_are_as_isolated_as_ever(populated, target, path) -> None:
    await restore(target, path)
    guarded = "SELECT relname FROM pg_class WHERE relnamespace = 'keybearer'::regnamespace AND relforcerowsecurity"
    assert await target.sql(f"{guarded} ORDER BY 1") == await populated.sql(f"{guarded} ORDER BY 1")
    assert await target.sql("SELECT * FROM pg_policies WHERE schemaname = 'keybearer' ORDER BY 2, 3") == (
        await populated.sql("SELECT * FROM pg_policies WHERE schemaname = 'keybearer' ORDER BY 2, 3")
    )
    async with target.db.transaction(None) as tx:
        assert (await tx.exec_driver_sql("SELECT count(*) FROM users")).scalar() == 0
    async with target.db.transaction(TENANT) as tx:
        assert (await tx.exec_driver_sql("SELECT count(*) FROM users")).scalar() == 2
    assert await target.one("SELECT version_num FROM alembic_version") == runner.head()


async def test_credentials_open_with_the_keyring(populated, target, path) -> None:
    await restore(target, path)
    alice = populated.people[0]
    row = (await target.sql("SELECT id, refresh_token FROM connections WHERE user_id = $1", alice))[0]
    keys = Keys(keyring.load(target.folder / "keyring"))
    await keys.start(target.db)
    async with target.db.transaction(TENANT) as tx:
        place = Place("connections", str(row["id"]), "refresh_token")
        assert await keys.open(tx, Owner.user(TENANT, alice), place, row["refresh_token"]) == b"rt-Alice"


async def test_the_ledger_goes_on_in_a_new_era(populated, target, path) -> None:
    """The era that ended is sealed to its last row; transaction ids that come again do not disturb it."""
    before = (await StoredBooks(populated.db).batches(0, 10))[-1]
    restored = await restore(target, path)
    assert restored.manifest.ledger.batch_hash == before.seal.hash.hex()
    last = restored.settled.last
    assert last is not None
    assert (last.seal.no, last.seal.era, last.seal.count, restored.settled.era) == (before.seal.no + 1, 1, 1, 2)

    async with target.db.transaction(TENANT) as tx:
        await Ledger(target.db, target.keys).record(tx, Entry(tenant_id=TENANT, action="sign_in"))
    await target.seal()
    report = await verify(StoredBooks(target.db), target.signers)
    assert (report.problem, report.batches, report.rows) == (None, before.seal.no + 2, 6)
    assert report.last is not None
    assert (report.last.seal.era, report.last.seal.count) == (2, 3)
    ids = [row["id"] for row in await target.sql("SELECT id FROM ledger ORDER BY id")]
    assert ids == sorted(set(ids))
    recorded = await target.sql("SELECT tenant_id FROM ledger WHERE action = 'installation.restored' AND era = 2")
    assert {row[0] for row in recorded} == {row[0] for row in await target.sql("SELECT id FROM tenants")}


async def test_a_restore_of_a_restore_begins_a_third_era(populated, target, path, postgres_server) -> None:
    await restore(target, path)
    await target.person("Carol")
    again = (await making.make(target.owner, target.keys, target.folder)).path
    await target.owner.close()
    await target.db.close()
    await target.sql("DROP SCHEMA keybearer CASCADE")
    restored = await restore(target, again)
    assert (restored.settled.era, restored.settled.last.seal.era) == (3, 2)
    await target.seal()
    report = await verify(StoredBooks(target.db), target.signers)
    assert report.problem is None
    assert report.rows == await target.one("SELECT count(*) FROM ledger")


async def test_a_migrated_database_that_nobody_used_is_empty_too(populated, target, path) -> None:
    await runner.migrate(target.database.owner_url)
    await target.keys.start(target.db)  # a server was there once
    await target.db.close()
    assert (await restore(target, path)).counts["users"] == 3


async def test_a_database_in_use_is_left_alone(populated, target, path) -> None:
    await runner.migrate(target.database.owner_url)
    await target.keys.start(target.db)
    await target.person("Dora")
    await target.db.close()
    before = await rows_of(target)
    with pytest.raises(BackupError, match=r"there are rows in bearers\.|there are rows in connections\."):
        await restore(target, path)
    assert await rows_of(target) == before
    assert await target.one("SELECT relforcerowsecurity FROM pg_class WHERE oid = 'users'::regclass")


async def test_a_database_that_servers_use_is_left_alone(populated, target, path) -> None:
    await runner.migrate(target.database.owner_url)
    await target.db.ping()
    with pytest.raises(BackupError, match=r"servers use this database \(1 connections\)"):
        await restore(target, path)


async def test_a_server_that_starts_meanwhile_undoes_it(populated, target, path, monkeypatch) -> None:
    async def start(*_: object) -> None:
        await target.db.ping()

    monkeypatch.setattr(settling.rebuilding, "finish", start)
    with pytest.raises(BackupError, match="servers use this database"):
        await restore(target, path)
    assert await is_empty(target)


async def test_a_full_volume_of_the_database_is_said_to_be_full(populated, target, path) -> None:
    def full(line: str) -> None:
        if line == "Loading ledger":
            raise asyncpg.DiskFullError("could not extend file")

    with pytest.raises(BackupError, match="no room left on the database's volume"):
        await restoring.restore(target.owner, target.domains(), path, (), full)
    assert await is_empty(target)


@pytest.mark.parametrize("left", [0.0, 0.5, 0.999])
async def test_half_an_archive_restores_nothing(populated, target, path, left) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * left)])
    with pytest.raises(BackupError):
        await restore(target, path)
    assert await is_empty(target)


async def test_the_key_of_the_archive_is_asked_for_by_name(populated, target, path) -> None:
    (target.folder / "keyring" / "k2").write_bytes((target.folder / "keyring" / "k1").read_bytes())
    (target.folder / "keyring" / "primary").write_text("k2")
    (target.folder / "keyring" / "k1").unlink()
    target.keys = Keys(keyring.load(target.folder / "keyring"))
    with pytest.raises(BackupError, match="the key k1, which KEYBEARER_KEYRING_DIR does not hold"):
        await restore(target, path)


async def test_keys_under_which_data_is_encrypted_are_asked_for_by_name(populated, target) -> None:
    """The archive itself is under the newest key; some people's keys are still under the one before."""
    await populated.sql("INSERT INTO keks (id) VALUES ('k2')")
    ring = keyring.Keyring({**populated.keys.keyring.keys, "k2": os.urandom(32)}, "k2")
    made = await making.make(populated.owner, Keys(ring), populated.archives)
    target.keys = Keys(keyring.Keyring({"k2": ring.key("k2")}, "k2"))
    with pytest.raises(BackupError, match="lacks the key k1, under which data in there is encrypted"):
        await restore(target, made.path)
    assert await is_empty(target)


async def test_a_key_of_the_right_name_and_the_wrong_bytes_restores_nothing(populated, target) -> None:
    ring = keyring.Keyring({"k1": os.urandom(32), "k2": os.urandom(32)}, "k2")
    made = await making.make(populated.owner, Keys(ring), populated.archives)
    target.keys = Keys(ring)
    with pytest.raises(ConfigurationError, match="key k1 is not the one under which stored credentials are encrypted"):
        await restore(target, made.path)
    assert await is_empty(target)


async def test_a_schema_of_a_later_version_is_refused_with_the_version_that_knows_it(populated, target) -> None:
    manifest = Manifest(
        made_at=datetime.now(UTC), product="9.9", schema="9999", keks=(), keyring="",
        ledger=Position(era=1, batch=0, batch_hash=None, row=0),
    )  # fmt: skip
    with (target.folder / "later.kbb").open("wb") as file:
        Writer(target.folder / "later.kbb", file, target.keys.keyring, manifest).finish()
    with pytest.raises(BackupError, match=r"version 9\.9, whose schema 9999 this version does not know"):
        await restore(target, target.folder / "later.kbb")


async def test_an_archive_of_an_earlier_schema_is_brought_on(populated, target, postgres_server) -> None:
    """Rows of the columns that there were then."""
    path = target.folder / "earlier.kbb"
    manifest = Manifest(
        made_at=datetime.now(UTC), product="0.0.1", schema="0001", keks=("k1",), keyring="",
        ledger=Position(era=1, batch=0, batch_hash=None, row=0),
    )  # fmt: skip
    person = uuid4()
    with path.open("wb") as file:
        writer = Writer(path, file, target.keys.keyring, manifest)
        for name, columns, line in (
            ("tenants", ("id", "slug", "name"), f"{TENANT}\tdefault\tEarlier"),
            ("ledger_eras", ("era",), "1"),
            ("keks", ("id",), "k1"),
            ("users", ("tenant_id", "id", "name"), f"{TENANT}\t{person}\tAlice"),
            (
                "connections",
                ("tenant_id", "id", "user_id", "provider", "account_id", "account_name", "state", "scopes", "dek_id",
                 "refresh_token"),
                f"{TENANT}\t{uuid4()}\t{person}\tspotify\ta\ta\tactive\t{{}}\t{uuid4()}\t\\\\x00",
            ),
        ):  # fmt: skip
            writer.begin(Table(name, columns))
            await writer.rows(f"{line}\n".encode())
            writer.end(Table(name, columns), 1)
        writer.finish()
    await restore(target, path)
    assert await target.one("SELECT version_num FROM alembic_version") == runner.head()
    assert await target.one("SELECT name FROM tenants") == "Earlier"
    assert await target.one("SELECT unverified FROM connections")


def erasure(person: UUID, tenant: UUID = TENANT) -> Erasure:
    return Erasure(tenant, person, datetime.now(UTC), 1, 1)


async def test_whoever_left_since_is_deleted_again(populated, target, path) -> None:
    alice, bob, zoe = populated.people
    left = [erasure(alice), erasure(uuid4()), erasure(zoe, TENANT)]  # one unknown, one of another tenant
    restored = await restore(target, path, left)
    assert restored.settled.erased == 1
    people = {row[0] for row in await target.sql("SELECT id FROM users")}
    assert people == {bob, zoe}
    for table in ("data_keys", "connections", "grants"):
        column = "owner_id" if table == "data_keys" else "user_id"
        assert await target.one(f"SELECT count(*) FROM {table} WHERE {column} = $1", alice) == 0
    assert await target.one("SELECT actor_kind FROM ledger WHERE action = 'account.erased'") == "system"
    await check_settled(target.db)
    await target.seal()
    assert (await verify(StoredBooks(target.db), target.signers)).problem is None


async def test_nothing_serves_before_they_were_deleted(populated, target, path) -> None:
    restored = await restore(target, path, None)
    assert restored.settled.erased is None
    with pytest.raises(ConfigurationError, match="restore --erasures"):
        await check_settled(target.db)
    await target.db.close()
    assert await settling.replay(target.owner, target.domains(), [erasure(populated.people[0])]) == 1
    await check_settled(target.db)
    assert await target.one("SELECT count(*) FROM users") == 2
    await target.db.close()
    assert await settling.replay(target.owner, target.domains(), [erasure(populated.people[0])]) == 0


async def test_a_database_that_was_put_back_otherwise_is_settled_where_it_is(populated) -> None:
    """From the write-ahead log, or a snapshot of its volume: everything is there, too much of it."""
    alice = populated.people[0]
    await populated.db.close()
    settled = await settling.settle_in_place(populated.owner, populated.domains(), [erasure(alice)])
    assert (settled.era, settled.grants_ended, settled.unverified, settled.erased) == (2, 3, 3, 1)
    for table in ("sessions", "bearers"):
        assert await populated.one(f"SELECT count(*) FROM {table}") == 0
    await populated.seal()
    assert (await verify(StoredBooks(populated.db), populated.signers)).problem is None
    assert await populated.one("SELECT relforcerowsecurity FROM pg_class WHERE oid = 'users'::regclass")


async def test_the_commands_do_the_same(populated, target, path) -> None:
    log = target.folder / "erasures"
    done = await asyncio.to_thread(command, target, "restore", str(path))
    assert done.returncode == 0, done.stderr
    assert "NOT READY: KEYBEARER_ERASURE_LOG_DIR is not set" in done.stdout
    refused = await asyncio.to_thread(process, target, "serve", PORT="0", INTERNAL_PORT="0")
    assert refused.returncode == 1
    assert "keybearer restore --erasures" in refused.stderr
    checked = await asyncio.to_thread(command, target, "verify")
    assert checked.returncode == 1
    assert "wrong restore: finished, where there was one: This database was restored" in checked.stdout

    unset = await asyncio.to_thread(command, target, "restore", "--erasures")
    assert unset.returncode == 1
    assert "KEYBEARER_ERASURE_LOG_DIR is not set" in unset.stderr
    log.mkdir()
    ErasureLog(log).append(erasure(populated.people[0]))
    replayed = await asyncio.to_thread(command, target, "restore", "--erasures", ERASURE_LOG_DIR=str(log))
    assert "Deleted again: 1 people" in replayed.stdout, replayed.stderr

    again = await asyncio.to_thread(command, target, "restore", str(path), ERASURE_LOG_DIR=str(log))
    assert again.returncode == 1
    assert "This database is in use: there are rows in" in again.stderr
    settled = await asyncio.to_thread(command, target, "restore", "--in-place", ERASURE_LOG_DIR=str(log))
    assert "Era 3 has begun" in settled.stdout, settled.stderr
    verified = await asyncio.to_thread(command, target, "ledger", "verify")
    assert verified.returncode == 0, verified.stdout


async def test_the_command_says_what_was_lost(populated, target, path) -> None:
    (target.folder / "erasures").mkdir()
    done = await asyncio.to_thread(
        command, target, "restore", str(path), ERASURE_LOG_DIR=str(target.folder / "erasures")
    )
    assert done.returncode == 0, done.stderr
    assert "rows of 20" in done.stdout
    assert "s since then is lost" in done.stdout
    assert "All sessions and 3 grants were ended" in done.stdout
    assert "3 connections are tried at their next refresh" in done.stdout
    assert "The ledger's era 1 ends with batch 2" in done.stdout
    assert "Deleted again: 0 people. Servers may start." in done.stdout


async def test_the_newest_of_a_folder_is_taken(populated, target, path) -> None:
    folder.path_of(populated.archives, datetime.now(UTC) - timedelta(days=2)).write_bytes(b"older, and broken")
    done = await asyncio.to_thread(command, target, "restore", "--from", str(populated.archives))
    assert done.returncode == 0, done.stderr
    assert f"Restoring {path}" in done.stdout


@pytest.mark.long
async def test_a_server_to_be_waits_for_the_restore(populated, target, path) -> None:
    wait = ["migrate", "--wait", "--restored", "--timeout", "0"]
    for world in (populated, target):
        waited = await asyncio.to_thread(process, world, *wait)
        assert waited.returncode == 1
        assert "A restore was asked for, and none was done in this database." in waited.stderr
    await restore(target, path)
    done = await asyncio.to_thread(process, target, *wait)
    assert done.returncode == 0, done.stderr
    assert command(target, "migrate", "--restored").returncode == 2


@pytest.mark.long
async def test_into_the_folder_of_up_whose_database_is_started_for_it(populated, path) -> None:
    data = populated.folder / "data"
    missing = await asyncio.to_thread(process, populated, "restore", "--data", str(data), str(path))
    assert missing.returncode == 1
    assert f"There is no keyring in {data}. Copy keyring, signing and erasures there first." in missing.stderr

    for name in ("keyring", "signing"):
        shutil.copytree(populated.folder / name, data / name)
    done = await asyncio.to_thread(process, populated, "restore", "--data", str(data), str(path))
    assert done.returncode == 0, done.stderr
    assert "Deleted again: 0 people. Servers may start." in done.stdout
    again = await asyncio.to_thread(process, populated, "restore", "--data", str(data), str(path))
    assert again.returncode == 1
    assert "This database is in use" in again.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["a.kbb", "--in-place"], ["--in-place", "--erasures"], ["a", "--data", "x", "--drill"]]
)
def test_one_thing_at_a_time(world: World, arguments: list[str]) -> None:
    assert command(world, "restore", *arguments).returncode == 2
