"""The commands of docs/backups.md do what the page says, one after the other, as on the machine of `make run`."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from backups.world import World
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
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "keybearer").symlink_to(ROOT / ".venv" / "bin" / "keybearer")
    data = tmp_path / ".keybearer"
    for name in ("keyring", "signing"):
        (data / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).rename(data / name)
    for name in ("backup/archives", "backup/ledger", "safe", ".keybearer/erasures"):
        (tmp_path / name).mkdir(parents=True)
    return populated


def run(machine: World, command: str, database: World | None = None) -> str:
    world = database or machine
    data = machine.folder / ".keybearer"
    settings = world.environment(
        KEYRING_DIR=str(data / "keyring"),
        SIGNING_KEYRING_DIR=str(data / "signing"),
        ERASURE_LOG_DIR=str(data / "erasures"),
    )
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items() if name.startswith("KEYBEARER_")]
    (data / "env").write_text("".join(lines))
    for name in ("/backup", "/safe"):
        command = command.replace(f" {name}/", f" {machine.folder}{name}/")
    found = [archive.path.name for archive in folder.archives(machine.folder / "backup" / "archives")]
    command = command.replace(EXAMPLE, found[-1] if found else EXAMPLE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYBEARER_")}
    done = subprocess.run(
        ["sh", "-euc", commands("Backups")[0] + command],
        cwd=machine.folder, env=kept, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


async def test_every_command_works(machine: World, target: World) -> None:
    (make,) = commands("Make one")
    assert "read back and whole" in run(machine, make)
    (drill,) = commands("Check one")
    assert "UTC restores" in run(machine, drill)
    (copy,) = commands("Copy the keyring")
    run(machine, copy)
    assert {path.name for path in (machine.folder / "safe").iterdir()} == {"keyring", "signing", "erasures"}
    (prune, prove) = commands("Remove what is old")
    assert "0 ledger batches" in run(machine, prune)
    assert "The ledger is whole" in run(machine, prove)

    restore, look = commands("Restore")
    assert "Servers may start." in run(machine, restore, target)
    walk, _verify = look.splitlines()  # the other asks the providers, of which there are none here
    assert "The ledger is whole" in run(machine, walk, target)
    (erasures,) = commands("Without the erasure log")
    assert "Deleted again: 0 people" in run(machine, erasures, target)
    (in_place,) = commands("Where the database came back by itself")
    assert "Era 3 has begun" in run(machine, in_place, target)


def test_the_metrics_exist() -> None:
    from keybearer.backups import metrics
    from keybearer.vault.metrics import UNVERIFIED

    existing = {gauge._name for gauge in (*metrics.LAST_SUCCESS.values(), UNVERIFIED)}
    assert set(re.findall(r"`(keybearer_[a-z_]+)`", PAGE)) == existing | {"keybearer_owner"}
