"""Records in and out; what does not add up is refused."""

import asyncio
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from keybearer.backups import archive
from keybearer.backups.archive import Table, Writer
from keybearer.backups.errors import BackupError
from keybearer.backups.manifest import Manifest, Position
from keybearer.backups.sealing import Header, Sealer
from keybearer.keys.keyring import Keyring

KEYRING = Keyring({"k1": bytes(range(32)), "k2": bytes(range(32, 64))}, "k2")
MANIFEST = Manifest(
    made_at=datetime(2026, 11, 23, 2, 0, 0, 123456, tzinfo=UTC),
    product="0.1.0",
    schema="0002",
    ledger=Position(era=2, batch=7, batch_hash="ab" * 32, row=99),
    keyring=KEYRING.revision,
    keks=("k1", "k2"),
)
USERS, EMPTY = Table("users", ("id", "name")), Table("grants", ("id",))


async def fill(writer: Writer, rows: int) -> None:
    for number in range(rows):
        await writer.rows(b"%d\tAlice\\nin two lines\n" % number)


def write(path: Path, *, rows: int = 3, declared: int | None = None) -> None:
    with path.open("wb") as file:
        writer = Writer(path, file, KEYRING, MANIFEST)
        writer.begin(USERS)
        asyncio.run(fill(writer, rows))
        writer.end(USERS, rows if declared is None else declared)
        writer.begin(EMPTY)
        writer.end(EMPTY, 0)
        writer.finish()


def test_everything_comes_back_in_order(tmp_path: Path) -> None:
    write(tmp_path / "a.kbb", rows=20_000)
    with archive.opened(tmp_path / "a.kbb", KEYRING) as reader:
        found = {table: b"".join(reader.rows()) for table in reader.tables()}
    assert reader.manifest == MANIFEST
    assert list(found) == [USERS, EMPTY]
    assert found[USERS].startswith(b"0\tAlice\\nin two lines\n1\t")
    assert found[EMPTY] == b""
    assert reader.counts == {"users": 20_000, "grants": 0}


def test_it_is_checked_to_the_end(tmp_path: Path) -> None:
    write(tmp_path / "a.kbb")
    assert archive.check(tmp_path / "a.kbb", KEYRING) == (MANIFEST, {"users": 3, "grants": 0})


def test_a_count_that_is_not_so_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.kbb", declared=4)
    with pytest.raises(BackupError, match="not complete"):
        archive.check(tmp_path / "a.kbb", KEYRING)


def test_the_key_that_is_needed_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.kbb")
    with pytest.raises(BackupError, match=r"the key k2, which KEYBEARER_KEYRING_DIR does not hold"):
        archive.check(tmp_path / "a.kbb", Keyring({"k1": KEYRING.key("k1")}, "k1"))


def test_the_old_primary_still_opens_it(tmp_path: Path) -> None:
    write(tmp_path / "a.kbb")
    assert archive.check(tmp_path / "a.kbb", Keyring(KEYRING.keys, "k1"))


def record(kind: bytes, payload: object) -> bytes:
    encoded = json.dumps(payload).encode() if not isinstance(payload, bytes) else payload
    return kind + len(encoded).to_bytes(4, "big") + encoded


FIRST = record(b"M", MANIFEST.encoded())
TABLE = record(b"T", {"name": "users", "columns": ["id"]})
ROWS, END_OF_TABLE, END = record(b"R", b"1\n"), record(b"E", {"rows": 1}), record(b"Z", {"rows": 1})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        FIRST,
        TABLE + END,
        FIRST + TABLE + ROWS + END_OF_TABLE,
        FIRST + TABLE + ROWS + END,
        FIRST + TABLE + ROWS + ROWS + END_OF_TABLE + END,
        FIRST + TABLE + END_OF_TABLE + END,
        FIRST + TABLE + ROWS + END_OF_TABLE + END + END,
        FIRST + TABLE + ROWS + END_OF_TABLE + END + b"x",
        FIRST + TABLE + ROWS + END_OF_TABLE + record(b"Z", {"rows": 2}),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_records_that_do_not_add_up_are_refused(tmp_path: Path, content: bytes, whole: bool) -> None:
    """Sealed as they are, by somebody who has the key and another idea of the format."""
    deflated = zlib.compress(content)
    with (tmp_path / "a.kbb").open("wb") as file:
        sealer = Sealer(file, Header.new("k1"), KEYRING.key("k1"))
        sealer.write(deflated if whole else deflated[:-4])
        sealer.finish()
    with pytest.raises(BackupError, match="not complete"):
        archive.check(tmp_path / "a.kbb", KEYRING)


def test_a_later_content_is_named_with_the_version_that_reads_it() -> None:
    later = {**json.loads(MANIFEST.encoded()), "format": 2, "product": "9.9"}
    with pytest.raises(BackupError, match=r"format 2.*version 9\.9 or a newer one"):
        Manifest.decoded(json.dumps(later).encode())


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot be read"):
        archive.check(tmp_path / "absent.kbb", KEYRING)
