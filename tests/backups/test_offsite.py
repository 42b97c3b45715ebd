"""The copy of the backup volume in a bucket: whole or not there, complete again after anything, readable by nobody."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from backups import s3_server
from backups.s3_server import Store
from keybearer.backups.errors import BackupError
from keybearer.backups.offsite import pulling, volume
from keybearer.backups.offsite.bucket import Address, Bucket
from keybearer.backups.offsite.pieces import PIECE_BYTES
from keybearer.backups.offsite.pushing import Push, Pushed
from keybearer.keys.keyring import Keyring

RING = Keyring({"k1": os.urandom(32)}, "k1")
ROTATED = Keyring({**RING.keys, "k2": os.urandom(32)}, "k2")
SECRET_WORDS = b"CREATE TABLE of everything, in the clear. "
FILES = {
    "archives/keybearer-20261122T020000Z.kbb": b"KBBACKUP old" * 100,
    "archives/keybearer-20261123T020000Z.kbb": b"KBBACKUP new" * 100,
    "base/20261123T013000Z/backup_manifest": b"{}" + SECRET_WORDS,
    "base/20261123T013000Z/base.tar.gz": SECRET_WORDS * 1000,
    "base/20261123T013000Z/pg_wal.tar.gz": b"",
    "wal/000000010000000000000007.gz": SECRET_WORDS * 10,
    "wal/000000010000000000000008.gz": SECRET_WORDS * 11,
    "erasures/erasures-0123456789abcdef.jsonl": b'{"user": "1"}\n',
    "ledger/ledger-000000000001-000000000009.jsonl.gz": b"ledger",
}
BASE = "base/20261123T013000Z/base.tar.gz"
LARGE = FILES | {BASE: SECRET_WORDS * (2 * PIECE_BYTES // len(SECRET_WORDS) + 1)}  # three pieces


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return Bucket(Address.parse("s3://backups/kb"))


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    folder.mkdir()
    for name, content in FILES.items():
        write(folder, name, content)
    return folder


@pytest.fixture
def large(backup: Path) -> Path:
    write(backup, BASE, LARGE[BASE])
    return backup


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def push(bucket: Bucket, folder: Path, ring: Keyring = RING, belongs: Callable[[str], bool] = lambda _: True) -> Pushed:
    return Push(bucket, folder, belongs).run(ring)


def pulled(bucket: Bucket, folder: Path, ring: Keyring = RING) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    pulling.pull(bucket, folder, ring)
    found = contents(folder)
    del found[volume.MARK]
    return found


def objects(store: Store, path: str) -> list[str]:
    return sorted(key for key in store.objects if key.startswith(f"kb/{path}/"))


def test_what_is_pushed_comes_back_as_it_was(store: Store, bucket: Bucket, large: Path, tmp_path: Path) -> None:
    store.page = 3
    assert push(bucket, large).files == len(LARGE)

    there = tmp_path / "there"
    assert pulled(bucket, there) == LARGE
    for name in LARGE:
        assert (there / name).stat().st_mtime_ns == (large / name).stat().st_mtime_ns, name
    # PostgreSQL's user moves and removes what the backend's brought back, by their common group.
    assert {path.stat().st_mode & 0o770 for path in there.rglob("*") if path.is_dir()} == {0o770}
    assert {(there / name).stat().st_mode & 0o777 for name in LARGE} == {0o640}
    assert push(bucket, there) == Pushed(0, 0, 0)


def test_nothing_is_readable_in_the_bucket(store: Store, bucket: Bucket, backup: Path) -> None:
    push(bucket, backup)

    assert all(key.startswith("kb/") for key in store.objects)
    for key, content in store.objects.items():
        assert SECRET_WORDS not in content, key
        assert RING.key("k1") not in content, key


def test_a_second_run_writes_nothing_and_does_not_even_list(store: Store, bucket: Bucket, backup: Path) -> None:
    pushing = Push(bucket, backup, lambda _: True)
    pushing.run(RING)
    store.requests.clear()

    assert pushing.run(RING) == Pushed(0, 0, 0)
    assert store.requests == []
    assert push(bucket, backup) == Pushed(0, 0, 0)
    assert set(store.methods()) == {"GET"}


@pytest.mark.parametrize("fault", ["SlowDown", "drop", "drop after", "BadDigest"])
def test_a_server_that_fails_once_costs_nothing(store: Store, bucket: Bucket, backup: Path, fault: str) -> None:
    store.faults = [("PUT", "wal/", fault)]
    pushing = Push(bucket, backup, lambda _: True)
    if fault == "BadDigest":  # the library does not repeat that by itself
        with pytest.raises(BackupError, match=r"not what was sent.*\(BadDigest\)"):
            pushing.run(RING)

    pushing.run(RING)

    assert not store.faults
    assert len(objects(store, "wal/000000010000000000000007.gz")) == 1


def test_an_interrupted_push_goes_on_where_it_was(store: Store, bucket: Bucket, large: Path, tmp_path: Path) -> None:
    store.faults = [("PUT", ".2of3.", "AccessDenied")]
    with pytest.raises(BackupError, match="AccessDenied"):
        push(bucket, large)
    first = dict(store.objects)
    assert [key.partition("Z.")[2] for key in objects(store, BASE)] == ["1of3.k1.sealed"]

    # What is there so far is what a pull takes for whole, without the base backup.
    before = pulled(bucket, tmp_path / "before")
    assert before == {name: LARGE[name] for name in LARGE if name.startswith("archives/")}
    push(bucket, large)

    assert first.items() <= store.objects.items()
    assert pulled(bucket, tmp_path / "there") == LARGE


def test_a_base_backup_is_there_with_its_manifest_alone(
    store: Store, bucket: Bucket, backup: Path, tmp_path: Path
) -> None:
    store.faults = [("PUT", "backup_manifest", "AccessDenied")]
    with pytest.raises(BackupError):
        push(bucket, backup)
    assert len(objects(store, BASE)) == 1
    there = tmp_path / "there"
    there.mkdir()

    done = pulling.pull(bucket, there, RING)

    assert done.left_out == (BASE, "base/20261123T013000Z/pg_wal.tar.gz")
    assert not (there / "base").exists()


@pytest.mark.parametrize("change", ["flip", "cut", "exchange", "older piece"])
def test_an_object_that_was_changed_is_noticed(
    store: Store, bucket: Bucket, backup: Path, tmp_path: Path, change: str
) -> None:
    push(bucket, backup)
    (key,), (other,) = (objects(store, f"wal/00000001000000000000000{number}.gz") for number in (7, 8))
    content = bytearray(store.objects[key])
    content[len(content) // 2] ^= 1
    store.objects[key] = {
        "flip": bytes(content),
        "cut": store.objects[key][:-1],
        "exchange": store.objects[other],
        "older piece": store.objects[objects(store, BASE)[0]],
    }[change]

    there = tmp_path / "there"
    with pytest.raises(BackupError, match=r"wal/0+10+7\.gz in the bucket is not what was put there"):
        pulled(bucket, there)
    assert not (there / "wal" / "000000010000000000000007.gz").exists()
    assert [path for path in there.rglob("*") if "unfinished" in path.name] == []


def test_an_interrupted_pull_goes_on(store: Store, bucket: Bucket, large: Path, tmp_path: Path) -> None:
    push(bucket, large)
    there = tmp_path / "there"
    store.faults = [("GET", "0007.gz/", "AccessDenied"), ("GET", ".2of3.", "cut")]
    with pytest.raises(BackupError, match="s3:GetObject"):
        pulled(bucket, there)
    # A killed container leaves this, and the next one's process has the same number.
    write(there, f"wal/.000000010000000000000007.gz.{os.getpid()}.unfinished", b"half")
    fetched = {name for name in contents(there) if name in LARGE}
    store.requests.clear()

    assert pulled(bucket, there) == LARGE
    assert not [name for name in fetched if store.methods(f"kb/{name}/")]


def test_retention_follows_the_volume(store: Store, bucket: Bucket, backup: Path, tmp_path: Path) -> None:
    push(bucket, backup)
    for name in ("archives/keybearer-20261122T020000Z.kbb", "wal/000000010000000000000007.gz"):
        (backup / name).unlink()
    write(backup, "erasures/erasures-0123456789abcdef.jsonl", b'{"user": "1"}\n{"user": "2"}\n')
    shutil.rmtree(backup / "ledger")  # nothing tidies that away

    done = push(bucket, backup)

    assert (done.files, done.removed) == (1, 3)
    assert len(objects(store, "erasures")) == 1
    left = contents(backup) | {name: FILES[name] for name in FILES if name.startswith("ledger/")}
    del left[volume.MARK]
    assert pulled(bucket, tmp_path / "there") == left


@pytest.mark.parametrize("lost", ["archives", "base", "wal", "erasures", "ledger"])
def test_a_folder_that_was_lost_stays_in_the_bucket(
    store: Store, bucket: Bucket, backup: Path, tmp_path: Path, lost: str
) -> None:
    push(bucket, backup)
    shutil.rmtree(backup / lost)

    assert push(bucket, backup).removed == 0
    assert pulled(bucket, tmp_path / "there") == FILES


def test_the_next_database_does_not_mix_with_the_one_before(
    store: Store, bucket: Bucket, backup: Path, tmp_path: Path
) -> None:
    """What files/set-aside.sh does at its first start."""
    push(bucket, backup)
    before = backup / "before-20261123T030000Z"
    before.mkdir()
    for name in ("wal", "base"):
        (backup / name).rename(before / name)
    # A segment of the same name and size as one of the other database.
    write(backup, "wal/000000010000000000000007.gz", bytes(len(FILES["wal/000000010000000000000007.gz"])))
    write(backup, "base/20261123T040000Z/backup_manifest", b"{}")

    push(bucket, backup)

    here = contents(backup)
    del here[volume.MARK]
    assert pulled(bucket, tmp_path / "there") == here


def test_a_new_volume_does_not_touch_anothers_copy(store: Store, bucket: Bucket, backup: Path, tmp_path: Path) -> None:
    push(bucket, backup)
    there, empty = dict(store.objects), tmp_path / "empty"
    empty.mkdir()
    write(empty, "wal/000000010000000000000001.gz", b"a new database's")

    with pytest.raises(BackupError, match=r"another volume.*keybearer offsite pull"):
        push(bucket, empty)
    with pytest.raises(BackupError, match="Name an empty folder"):
        pulling.pull(bucket, empty, RING)
    assert store.objects == there


def test_a_new_bucket_gets_all_of_it(store: Store, bucket: Bucket, backup: Path, tmp_path: Path) -> None:
    push(bucket, backup)
    other = Bucket(Address.parse("s3://backups/another/place/"))

    assert push(other, backup).files == len(FILES)
    assert pulled(other, tmp_path / "there") == FILES


def test_what_is_kept_for_ever_follows_the_keyring(store: Store, bucket: Bucket, backup: Path, tmp_path: Path) -> None:
    push(bucket, backup)
    done = push(bucket, backup, ROTATED)

    assert (done.files, done.removed) == (2, 2)
    under = {key.split(".")[-2] for name in ("erasures", "ledger") for key in objects(store, name)}
    assert under == {"k2"}
    assert pulled(bucket, tmp_path / "there", ROTATED) == FILES
    with pytest.raises(BackupError, match=r"under the key k2, which KEYBEARER_KEYRING_DIR does not hold"):
        pulled(bucket, tmp_path / "other")


def test_what_is_still_being_written_is_left_alone(store: Store, bucket: Bucket, backup: Path) -> None:
    half = ("wal/.000000010000000000000009.part", "base/.part-20261124T013000Z/base.tar.gz")
    for name in (*half, "lost+found/1", "erasures/lost+found/1"):
        write(backup, name, b"half")
    (backup / "wal" / "link.gz").symlink_to("/etc/passwd")

    assert push(bucket, backup).files == len(FILES)


def test_a_file_that_cannot_be_read_stops_no_other(store: Store, bucket: Bucket, backup: Path) -> None:
    def spoil(line: str) -> None:
        """A folder cannot be read as a file, not even by root."""
        if line.endswith("000000010000000000000007.gz"):
            (backup / "wal" / "000000010000000000000007.gz").unlink()
            (backup / "wal" / "000000010000000000000007.gz").mkdir()

    pushing = Push(bucket, backup, lambda _: True)
    with pytest.raises(BackupError, match=r"07.gz cannot be read .*\(1 files of .* are not in the bucket.\)"):
        pushing.run(RING, spoil)

    assert {key.split("/")[2] for key in objects(store, "wal")} == {"000000010000000000000008.gz"}
    assert len(store.objects) == len(FILES)


@pytest.mark.parametrize("change", ["grows", "goes"])
def test_a_file_that_changes_meanwhile_waits_for_the_next_run(
    store: Store, bucket: Bucket, backup: Path, tmp_path: Path, change: str
) -> None:
    name = "erasures/erasures-0123456789abcdef.jsonl"

    def meanwhile(line: str) -> None:
        if line.endswith(name):
            (backup / name).unlink() if change == "goes" else write(backup, name, FILES[name] * 2)

    pushing = Push(bucket, backup, lambda _: True)
    assert pushing.run(RING, meanwhile).files == len(FILES) - 1
    assert objects(store, "erasures") == []

    pushing.run(RING)
    assert pulled(bucket, tmp_path / "there").get(name) == (None if change == "goes" else FILES[name] * 2)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ACCESS_KEY_ID": "AKIAUNKNOWN"}, r"not known there.*AWS_ACCESS_KEY_ID.*InvalidAccessKeyId"),
        ({"SECRET_ACCESS_KEY": "wrong"}, r"secret is wrong.*AWS_SECRET_ACCESS_KEY.*SignatureDoesNotMatch"),
        ({"ACCESS_KEY_ID": "", "SECRET_ACCESS_KEY": ""}, r"no credentials. Set AWS_ACCESS_KEY_ID"),
        ({"REGION": "eu-central-1"}, r"another region. Set AWS_REGION"),
        ({"ENDPOINT_URL_S3": "http://127.0.0.1:1"}, r"cannot be reached. Check AWS_ENDPOINT_URL_S3"),
        ({"ENDPOINT_URL_S3": "nowhere"}, r"AWS_ENDPOINT_URL_S3 is no URL"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_is_wrong_is_said(
    store: Store, backup: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)

    with pytest.raises(BackupError, match=told) as caught:
        push(Bucket(Address.parse("s3://backups")), backup)

    assert s3_server.SECRET not in str(caught.value)
    assert "Credential=" not in str(caught.value)  # the server quotes it
    assert store.objects == {}


def test_a_bucket_that_is_not_there_is_said(store: Store, backup: Path) -> None:
    with pytest.raises(BackupError, match=r"s3://other/kb: There is no such bucket. Make it.*NoSuchBucket"):
        push(Bucket(Address.parse("s3://other/kb")), backup)


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_credentials_that_may_not_are_told_what_they_need(
    store: Store, bucket: Bucket, backup: Path, method: str
) -> None:
    store.denied = frozenset({method})
    with pytest.raises(BackupError, match=r"They need s3:ListBucket .*s3:PutObject"):
        push(bucket, backup)


def test_any_name_and_content_goes_there_and_back(store: Store) -> None:
    bucket = Bucket(Address.parse("s3://backups"))
    bucket.put("a b+c/ü&<", b"content")
    assert bucket.find("a b+c/ü&<") == b"content"
    assert list(bucket.names()) == ["a b+c/ü&<"]
    bucket.remove("a b+c/ü&<")
    assert bucket.find("a b+c/ü&<") is None
