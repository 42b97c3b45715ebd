"""docs/systemd: units that systemd takes, that are closed alike, and that run commands which exist."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from click import Command
from keybearer.cli import workers
from keybearer.cli.main import app

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "systemd"
SERVICES = sorted(path.name for path in SOURCE.glob("*.service"))
TIMERS = sorted(path.name for path in SOURCE.glob("*.timer"))
PROGRAM = "/opt/keybearer/env/bin/keybearer"
SYSTEM_UNITS = Path("/usr/lib/systemd/system")
MOST_EXPOSED = "30"  # of 100
# nginx needs a capability for its ports, which a user namespace would take away; its settings look into /proc/net.
FRONT_DIFFERS = frozenset({"CapabilityBoundingSet", "PrivateUsers", "ProcSubset"})

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or not SYSTEM_UNITS.is_dir(),
    reason="systemd-analyze and systemd's own units are not here (Debian: package systemd)",
)


def unit(name: str) -> dict[str, list[str]]:
    """The values of each key, in the order of the file."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"(?m)^([A-Za-z]+)=(.*)$", (SOURCE / name).read_text(encoding="utf-8")):
        found.setdefault(key, []).append(value)
    return found


def seconds(span: str) -> int:
    parts = re.fullmatch(r"(\d+)(s|min)", span)
    assert parts is not None, span
    return int(parts[1]) * {"s": 1, "min": 60}[parts[2]]


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Path:
    """A root file system with systemd's units and ours, and programs that do nothing where ours would be."""
    root: Path = tmp_path_factory.mktemp("machine")
    shutil.copytree(SYSTEM_UNITS, root / "usr/lib/systemd/system", symlinks=True)
    place = root / "etc/systemd/system"
    place.mkdir(parents=True)
    for name in SERVICES + TIMERS:
        shutil.copy(SOURCE / name, place)
        for line in unit(name).get("ExecStart", []) + unit(name).get("ExecReload", []):
            program = root / line.split()[0].lstrip("/")
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text("#!/bin/sh\n")
            program.chmod(0o755)
    return root


@needs_systemd
@pytest.mark.parametrize("name", SERVICES + TIMERS)
def test_systemd_has_nothing_to_complain_about(machine: Path, name: str) -> None:
    done = analyze("verify", f"--root={machine}", "--man=no", name)

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_a_wrong_unit_is_noticed(machine: Path) -> None:
    (machine / "etc/systemd/system/wrong.service").write_text("[Service]\nExecStart=/bin/absent\nUMsk=0077\n")
    done = analyze("verify", f"--root={machine}", "--man=no", "wrong.service")

    assert "UMsk" in done.stderr
    assert "/bin/absent is not executable" in done.stderr


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_closed(name: str) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(SOURCE / name))
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)

    assert done.returncode == 0, done.stdout[-300:]
    assert level is not None
    assert float(level[1]) * 10 <= float(MOST_EXPOSED)


@needs_systemd
def test_an_open_service_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "open.service").write_text("[Service]\nExecStart=/bin/true\n")

    assert analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", f"{tmp_path}/open.service").returncode


@pytest.mark.parametrize("name", SERVICES)
def test_all_are_closed_alike(name: str) -> None:
    first, each = unit("keybearer.service"), unit(name)
    keys = list(first)
    closing = set(keys[keys.index("LimitCORE") : keys.index("WantedBy")])
    differing = FRONT_DIFFERS if name == "keybearer-front.service" else frozenset()

    assert len(closing) > 20
    assert {key for key in closing if each.get(key) != first[key]} == differing


def test_each_part_has_a_user_of_its_own() -> None:
    """The server can read neither the migrating login's settings nor what its processes hold."""
    users = {name: unit(name)["User"] for name in SERVICES}
    alone = {"keybearer.service": ["keybearer"], "keybearer-front.service": ["keybearer-front"]}

    assert users == {name: alone.get(name, ["keybearer-admin"]) for name in SERVICES}
    assert unit("keybearer.service")["EnvironmentFile"] == ["/etc/keybearer/keybearer.env"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_command_exists(name: str) -> None:
    lines = [line for key in ("ExecStartPre", "ExecStart") for line in unit(name).get(key, [])]
    if name == "keybearer-front.service":
        assert lines == ["/opt/keybearer/nginx/front.sh"]
        return

    assert lines
    for line in lines:
        program, word, *more = line.split()
        command = commands()[word]
        known = {option for parameter in command.params for option in parameter.opts}
        assert program == PROGRAM
        assert {option for option in more if option.startswith("--")} <= known


def commands() -> Mapping[str, Command]:
    return typer.main.get_group(app).commands


def test_starting_waits_as_long_as_the_program_does() -> None:
    server = unit("keybearer.service")
    (timeout,) = (each.default for each in commands()["migrate"].params if each.name == "timeout")

    assert server["ExecStartPre"] == [f"{PROGRAM} migrate --wait"]
    assert seconds(server["TimeoutStartSec"][0]) > timeout
    # A wait in vain is one failure of those that are counted.
    assert seconds(server["StartLimitIntervalSec"][0]) <= timeout


def test_stopping_outlasts_the_drain() -> None:
    server = unit("keybearer.service")

    assert seconds(server["TimeoutStopSec"][0]) >= workers._STOP_SECONDS + 10
    assert server["KillMode"] == ["mixed"]
    assert server["Restart"] == ["on-failure"]
    assert server["RestartPreventExitStatus"] == [str(workers._REFUSED)]


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_starts_a_service_that_is_there(name: str) -> None:
    assert name.replace(".timer", ".service") in SERVICES
    assert unit(name)["OnCalendar"][0].endswith(" UTC")
    assert unit(name)["Persistent"] == ["yes"]
