"""`keybearer offsite`: after a loss of everything but the bucket and the keyring, and running beside a database."""

import asyncio
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import warm
from backups.s3_server import Store
from backups.world import World, command

PLACE = "s3://backups/kb"
WAL = "wal/000000010000000000000007.gz"


@pytest.fixture
def volume(populated: World) -> Path:
    folder = populated.folder / "backup"
    for name in ("archives", "wal", "base/20261123T013000Z", "erasures"):
        (folder / name).mkdir(parents=True)
    for name in (WAL, "base/20261123T013000Z/base.tar.gz", "base/20261123T013000Z/backup_manifest"):
        (folder / name).write_bytes(os.urandom(1000))
    return folder


async def told(world: World, *words: str, code: int = 0, **settings: str) -> str:
    done = await asyncio.to_thread(command, world, *words, **settings)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
async def test_everything_comes_back_from_the_bucket_and_the_keyring_alone(
    populated: World, target: World, volume: Path, store: Store
) -> None:
    await told(populated, "backup", "--to", str(volume / "archives"), "--erasures-to", str(volume / "erasures"))
    pushed = await told(populated, "offsite", "push", "--from", str(volume), "--to", PLACE)
    assert re.findall(r"(\w+): (\d) files, .* pushed", pushed) == [("wal", "1"), ("rest", "3")]
    users = await populated.sql("SELECT * FROM users ORDER BY id")
    before = contents(volume)
    shutil.rmtree(volume)

    listed = await told(target, "offsite", "list", PLACE)
    assert "wal: 1 files, the newest 000000010000000000000007.gz of 20" in listed
    volume.mkdir()
    await told(target, "offsite", "pull", "--from", PLACE, "--to", str(volume))
    assert contents(volume) == before
    erasures = str(volume / "erasures")
    restored = await told(target, "restore", "--from", str(volume / "archives"), ERASURE_LOG_DIR=erasures)

    assert "Servers may start." in restored
    assert await target.sql("SELECT * FROM users ORDER BY id") == users


async def test_the_guides_commands_work(populated: World, volume: Path, store: Store) -> None:
    page = (Path(__file__).parents[2] / "docs" / "backups.md").read_text(encoding="utf-8")
    push, list_, pull = re.findall(r"\.venv/bin/keybearer (offsite .*)", page)
    store.bucket = "example-backups"
    restored = populated.folder / "restored"
    restored.mkdir()

    assert "rest: 2 files" in await told(populated, *push.replace("/backup", str(volume)).split())
    assert "base/20261123T013000Z: 2 files" in await told(populated, *list_.split())
    assert "3 files" in await told(populated, *pull.replace("/restored", str(restored)).split())
    assert contents(restored) == contents(volume)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("push", "--from", "/nowhere", "--to", PLACE), "/nowhere is no folder"),
        (("push", "--from", "{volume}", "--to", "backups"), "names no bucket"),
        (("pull", "--from", PLACE, "--to", "/nowhere"), "/nowhere is no folder"),
        (("pull", "--from", PLACE, "--to", "{volume}"), "There are no backups in s3://backups/kb"),
        (("list", "s3://other"), "There is no such bucket"),
    ],
)
async def test_what_is_wrong_is_one_sentence(
    populated: World, volume: Path, store: Store, words: tuple[str, ...], said: str
) -> None:
    complained = await told(populated, "offsite", *(word.format(volume=volume) for word in words), code=1)
    assert complained.startswith("keybearer: ")
    assert said in complained


async def test_an_empty_place_is_said_to_be_one(populated: World, store: Store) -> None:
    assert await told(populated, "offsite", "list", PLACE) == "There is nothing in it.\n"
    assert "--pulse goes with --every" in await told(
        populated, "offsite", "push", "--from", "/x", "--to", PLACE, "--pulse", "/x", code=2
    )


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def there(store: Store, path: str) -> bool:
    return any(key.startswith(f"kb/{path}/") for key in store.objects)


@pytest.mark.long
async def test_beside_a_database_it_goes_on_whatever_happens(populated: World, volume: Path, store: Store) -> None:
    pulse = populated.folder / "pulse"
    pulse.mkdir()
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    store.denied = frozenset({"PUT"})
    words = ("offsite", "push", "--from", str(volume), "--to", PLACE, "--every", "1", "--pulse", str(pulse))
    process = warm.start(words, env={**populated.environment(), **aws}, stdout=warm.PIPE, stderr=warm.PIPE)
    try:
        await until((pulse / "alive").exists)
        await until(lambda: store.methods().count("PUT") >= 3)
        assert {path.name for path in pulse.iterdir()} == {"alive"}

        # It mends itself, takes what comes, and WAL does not wait for a large file.
        store.faults = [("PUT", "base.tar.gz", "SlowDown")] * 3
        store.denied = frozenset()
        await until(lambda: there(store, WAL) and (pulse / "wal").exists())
        (volume / "wal" / "000000010000000000000008.gz").write_bytes(b"next")
        await until(lambda: there(store, "wal/000000010000000000000008.gz"))
        await until(lambda: there(store, "base/20261123T013000Z/backup_manifest"))
        await until((pulse / "rest").exists)
        assert process.poll() is None
    finally:
        began = time.monotonic()
        with process:
            process.terminate()
            printed, complained = process.communicate(timeout=20)
    assert process.returncode == 0
    assert time.monotonic() - began < 5
    assert complained.count("They need s3:ListBucket") == 2  # once a lane, and not at every turn
    assert "wal: 1 files, 4 bytes pushed" in printed
