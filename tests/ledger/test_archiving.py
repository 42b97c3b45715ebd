"""Old batches move to files: nothing is deleted that is not in one, and the proof goes on where they end."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from keybearer.keys.envelope import Owner
from keybearer.kit import faults
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.ledger import archiving, checkpoint, files
from keybearer.ledger.archiving import Archiver
from keybearer.ledger.background import StoredBooks
from keybearer.ledger.checkpoint import Checkpoint
from keybearer.ledger.files import FileBooks
from keybearer.ledger.model import Entry
from keybearer.ledger.verify import Broken, prove, verify

TENANT = UUID("00000000-0000-7000-8000-000000000001")

SOON = datetime.now(UTC) + timedelta(hours=1)


class Interrupted(Exception):
    """Stands for a kill: whatever is committed stays."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


@pytest.fixture
async def archiver(database, books, signers, folder: Path) -> AsyncIterator[Archiver]:
    owner = Database(database.owner_url)
    yield Archiver(books, owner, signers, folder)
    await owner.close()
    faults.clear()


async def stored(superuser) -> tuple[int, int]:
    batches = await superuser.fetchval("SELECT count(*) FROM ledger_batches")
    return batches, await superuser.fetchval("SELECT count(*) FROM ledger")


async def test_what_is_old_moves_and_the_newest_batch_stays(archiver, books, signers, superuser, folder) -> None:
    moved = await archiver.run(SOON)
    assert (moved.batches, moved.rows) == (3, 9)
    assert await stored(superuser) == (1, 3)
    (path,) = folder.iterdir()
    assert moved.files == (path,)
    assert path.name == "ledger-000000000001-000000000003.jsonl.gz"
    assert path.stat().st_mode & 0o777 == 0o600

    report = await verify(books, signers)
    assert (report.problem, report.batches, report.rows) == (None, 1, 3)
    assert report.archived is not None
    assert report.archived.no == 3
    assert (await archiver.run(SOON)).batches == 0


async def test_the_files_prove_themselves_from_the_first_batch_on(archiver, signers, books, record, sealer, folder):
    await archiver.run(SOON)
    for _ in range(2):
        await record(1, 2)
        await sealer.seal()
    await archiver.run(SOON)
    assert len(files.find(folder)) == 2
    last = await prove(FileBooks(files.find(folder)), signers, None)
    assert last is not None
    archived = (await verify(books, signers)).archived
    assert (last.seal.no, last.seal.hash) == (archived.no, archived.hash) == (5, archived.hash)


async def test_young_batches_stay(archiver, superuser) -> None:
    moved = await archiver.run(datetime.now(UTC) - timedelta(days=1))
    assert (moved.batches, moved.files) == (0, ())
    assert await stored(superuser) == (4, 12)


async def test_sealing_goes_on(archiver, books, signers, sealer, record) -> None:
    await archiver.run(SOON)
    await record(1, 2)
    batch = await sealer.seal()
    assert batch.seal.no == 5
    report = await verify(books, signers)
    assert (report.problem, report.batches) == (None, 2)


async def test_every_tenants_rows_move(archiver, books, ledger, db, sealer, other_tenant, superuser, record) -> None:
    for tenant in (TENANT, other_tenant):
        async with db.transaction(tenant) as tx:
            await ledger.record(tx, Entry(tenant_id=tenant, action="sign_in.failed", outcome="denied"))
    await sealer.seal()
    await record(1)
    await sealer.seal()
    assert (await archiver.run(SOON)).rows == 14
    assert await stored(superuser) == (1, 1)


async def test_eras_that_ended_move_too(archiver, books, signers, superuser, sealer, record) -> None:
    await record(1, 2)
    await superuser.execute("INSERT INTO ledger_eras (era) VALUES (2)")
    for number in (3, 4, 5):
        await record(number)
        await sealer.run()
    moved = await archiver.run(SOON)
    assert (moved.batches, moved.rows) == (7, 16)
    report = await verify(books, signers)
    assert (report.problem, report.archived.era, report.batches) == (None, 2, 1)
    await superuser.execute(
        "INSERT INTO ledger (tenant_id, uid, era, action, outcome, actor_kind) "
        "SELECT tenant_id, gen_random_uuid(), 1, 'sign_in', 'ok', 'person' FROM ledger LIMIT 1"
    )
    assert (await verify(books, signers)).problem is not None


@pytest.mark.parametrize("limits", [(1, 20_000), (5, 20_000), (200_000, 2)])
async def test_many_files_hold_the_same(archiver, signers, folder, monkeypatch, limits) -> None:
    monkeypatch.setattr(archiving, "_FILE_ROWS", limits[0])
    monkeypatch.setattr(archiving, "_FILE_BATCHES", limits[1])
    moved = await archiver.run(SOON)
    assert (moved.batches, moved.rows) == (3, 9)
    assert len(moved.files) > 1
    assert (await prove(FileBooks(files.find(folder)), signers, None)).seal.no == 3


@pytest.mark.parametrize("point", ["ledger.archive.written", "ledger.archive.deleted"])
async def test_interrupted_anywhere_it_carries_on(archiver, books, signers, superuser, folder, monkeypatch, point):
    """Every step is whole by itself: a batch is in a file before it is gone, and may be in two files."""
    monkeypatch.setattr(archiving, "_DELETED_AT_ONCE", 3)

    async def interrupt() -> None:
        raise Interrupted

    faults.install(point, interrupt)
    with pytest.raises(Interrupted):
        await archiver.run(SOON)
    assert (await verify(books, signers)).problem is None
    faults.clear()
    await archiver.run(SOON)
    assert (await verify(books, signers)).problem is None
    assert await stored(superuser) == (1, 3)
    assert (await prove(FileBooks(files.find(folder)), signers, None)).seal.no == 3


async def test_a_ledger_that_was_changed_is_not_moved(archiver, superuser, folder) -> None:
    await superuser.execute("UPDATE ledger SET action = 'sign_in' WHERE id = (SELECT min(id) + 4 FROM ledger)")
    with pytest.raises(ConfigurationError, match=r"batch 2 \(rows .*\) was changed.*Nothing was removed"):
        await archiver.run(SOON)
    assert await stored(superuser) == (4, 12)
    assert list(folder.iterdir()) == []


async def test_a_row_that_comes_between_is_not_deleted_unproved(archiver, superuser, reach_once) -> None:
    """After the file was proved, somebody adds a row to a batch in it."""
    await reach_once(
        "ledger.archive.written",
        "INSERT INTO ledger (tenant_id, uid, xid, action, outcome, actor_kind) "
        "SELECT tenant_id, gen_random_uuid(), xid, 'sign_in', 'ok', 'person' FROM ledger ORDER BY id LIMIT 1",
    )
    with pytest.raises(ConfigurationError, match="changed while they were archived"):
        await archiver.run(SOON)
    assert await stored(superuser) == (4, 13)


@pytest.fixture
def reach_once(superuser):
    async def install(point: str, statement: str) -> None:
        async def run() -> None:
            await superuser.execute(statement)

        faults.install(point, run)

    return install


async def test_a_folder_that_cannot_be_written_to_loses_nothing(archiver, superuser, folder) -> None:
    folder.rmdir()
    with pytest.raises(ConfigurationError, match=r"cannot be written to .* Nothing was removed"):
        await archiver.run(SOON)
    assert await stored(superuser) == (4, 12)


FORGERIES = {
    "a cut-off beginning without a note": "DELETE FROM ledger_archived",
    "a note of a later batch": "UPDATE ledger_archived SET no = 4",
    "another hash": "UPDATE ledger_archived SET hash = sha256('x')",
    "another range": "UPDATE ledger_archived SET to_xid = '3'",
    "another era": "UPDATE ledger_archived SET era = 2",
    "another time": "UPDATE ledger_archived SET archived_at = archived_at - interval '1 microsecond'",
    "another key": "UPDATE ledger_archived SET key_id = 's2'",
    "more was deleted, as if it were archived": (
        "DELETE FROM ledger; UPDATE ledger_archived SET (no, era, to_xid, hash) ="
        " (SELECT no, era, to_xid, sha256('x') FROM ledger_batches); DELETE FROM ledger_batches"
    ),
    "a row added where all were archived": (
        "INSERT INTO ledger (tenant_id, uid, xid, action, outcome, actor_kind) "
        "SELECT tenant_id, gen_random_uuid(), '3', 'sign_in', 'ok', 'person' FROM ledger LIMIT 1"
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_beginning_is_noticed(archiver, books, signers, superuser, forgery: str) -> None:
    await archiver.run(SOON)
    await superuser.execute(forgery)
    assert (await verify(books, signers)).problem is not None


async def test_checkpoints_of_archived_batches_are_looked_for_in_the_files(archiver, books, signers, folder) -> None:
    kept = {
        batch.seal.no: checkpoint.read(json.dumps(checkpoint.public_form(batch)))[0]
        for batch in await books.batches(0, 10)
    }
    await archiver.run(SOON)
    assert (await verify(books, signers, checkpoints=list(kept.values()))).problem is None
    assert await prove(FileBooks(files.find(folder)), signers, None, checkpoints=[kept[1], kept[3]])
    other = Checkpoint(3, kept[1].hash, kept[1].key_id, kept[1].signature)
    assert (await verify(books, signers, checkpoints=[other])).problem is not None
    with pytest.raises(Broken, match="batch 3 is not the one that the checkpoint names"):
        await prove(FileBooks(files.find(folder)), signers, None, checkpoints=[other])
    with pytest.raises(Broken, match="batch 4 is missing"):
        await prove(FileBooks(files.find(folder)), signers, None, checkpoints=[kept[4]])


@pytest.mark.parametrize("change", ["a row", "a batch", "half", "garbage"])
async def test_a_changed_file_is_noticed(archiver, signers, folder, change: str) -> None:
    (path,) = (await archiver.run(SOON)).files
    lines = gzip.decompress(path.read_bytes()).splitlines()
    if change == "a row":
        lines[1] = lines[1].replace(b"grant.created", b"grant.revoked")
    if change == "a batch":
        del lines[0:4]
    content = gzip.compress(b"\n".join(lines) + b"\n")
    path.write_bytes({"half": content[: len(content) // 2], "garbage": b"garbage"}.get(change, content))
    with pytest.raises((Broken, ConfigurationError)):
        await prove(FileBooks(files.find(folder)), signers, None)


async def test_destroying_a_key_reaches_the_files(archiver, signers, folder, db, keys, person) -> None:
    (path,) = (await archiver.run(SOON)).files
    assert b"bot" not in gzip.decompress(path.read_bytes())
    async with db.transaction(TENANT) as tx:
        await keys.destroy(tx, Owner.user(TENANT, person))
    assert await prove(FileBooks(files.find(folder)), signers, None)


async def test_archiving_while_somebody_verifies_raises_no_alarm(archiver, signers, db) -> None:
    class Slow(StoredBooks):
        archive_now = True

        async def batches(self, after: int, limit: int):
            if self.archive_now:
                self.archive_now = False
                await archiver.run(SOON)
            return await super().batches(after, limit)

    report = await verify(Slow(db), signers)
    assert (report.problem, report.batches) == (None, 1)
