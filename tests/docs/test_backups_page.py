"""The commands of docs/backups.md do what the page says, one after the other, as on the machine of `make run`."""

import asyncio
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from backups.world import World, command
from keybearer.backups import folder

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "backups.md").read_text(encoding="utf-8")
EXAMPLE = "keybearer-20261123T020000Z.kbb"


def commands(section: str) -> list[str]:
    part = re.split(rf"(?m)^#+ {re.escape(section)}$", PAGE)[1]
    part = re.split(r"(?m)^#+ ", part)[0]
    return [re.sub(r"(?m)^ +", "", text) for text in re.findall(r"(?ms)^ *```sh\n(.*?)^ *```", part)]


@pytest.fixture
def machine(populated: World, tmp_path: Path) -> World:
    """The folder where `make run` was called; /backup and /safe are in it."""
    data = tmp_path / ".keybearer"
    data.mkdir()
    for name in ("keyring", "signing"):
        (tmp_path / name).rename(data / name)
    for name in ("backup/archives", "backup/ledger", "backup/erasures", "safe", ".keybearer/erasures"):
        (tmp_path / name).mkdir(parents=True)
    return populated


async def run(machine: World, line: str, database: World | None = None) -> str:
    """In this process, because starting nine of them takes longer than the rest."""
    assert commands("Backups") == ["set -a; . .keybearer/env; set +a\n"]
    data = machine.folder / ".keybearer"
    settings = {
        "KEYRING_DIR": str(data / "keyring"),
        "SIGNING_KEYRING_DIR": str(data / "signing"),
        "ERASURE_LOG_DIR": str(data / "erasures"),
    }
    program, *words = shlex.split(line)
    assert program == ".venv/bin/keybearer"
    found = [archive.path.name for archive in folder.archives(machine.folder / "backup" / "archives")]
    words = [re.sub(r"^/backup/", f"{machine.folder}/backup/", word) for word in words]
    words = [word.replace(EXAMPLE, found[-1] if found else EXAMPLE) for word in words]
    done = await asyncio.to_thread(command, database or machine, *words, **settings)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def shell(machine: World, line: str) -> None:
    subprocess.run(["sh", "-euc", line.replace(" /safe", " safe")], cwd=machine.folder, check=True)


async def test_every_command_works(machine: World, target: World) -> None:
    (make,) = commands("Make one")
    assert "read back and whole" in await run(machine, make)
    (drill,) = commands("Check one")
    assert "UTC restores" in await run(machine, drill)
    (copy,) = commands("Copy the keyring")
    shell(machine, copy)
    assert {path.name for path in (machine.folder / "safe").iterdir()} == {"keyring", "signing", "erasures"}
    (prune, prove) = commands("Remove what is old")
    assert "0 ledger batches" in await run(machine, prune)
    assert "The ledger is whole" in await run(machine, prove)

    restore, look = commands("Restore")
    assert "Servers may start." in await run(machine, restore, target)
    walk, _verify = look.splitlines()  # the other asks the providers, of which there are none here
    assert "The ledger is whole" in await run(machine, walk, target)
    erasures, export = commands("Without the erasure log")
    assert "0 deleted people added" in await run(machine, export)
    assert "Deleted again: 0 people" in await run(machine, erasures, target)
    copy, folder_restore = commands("Into the folder of `make run`")[0].splitlines()
    shell(machine, copy)
    assert (machine.folder / ".restored" / "keyring" / "primary").exists()
    assert folder_restore.startswith(".venv/bin/keybearer restore --data .restored /backup/archives/keybearer-")
    (in_place,) = commands("Where the database came back by itself")
    assert "Era 3 has begun" in await run(machine, in_place, target)


def test_the_metrics_exist() -> None:
    from keybearer.backups import metrics
    from keybearer.vault.metrics import UNVERIFIED

    existing = {gauge._name for gauge in (*metrics.LAST_SUCCESS.values(), UNVERIFIED)}
    assert set(re.findall(r"`(keybearer_[a-z_]+)`", PAGE)) == existing | {"keybearer_owner"}
