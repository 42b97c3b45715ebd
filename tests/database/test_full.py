"""A full volume is said to be one, loses nothing that was acknowledged, and heals when there is room again."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("full_volume.py")
APART = ["unshare", "--mount"]


def test_a_full_volume_is_said_and_heals(tmp_path: Path) -> None:
    if subprocess.run([*APART, "mount", "-t", "tmpfs", "none", str(tmp_path)], check=False).returncode:
        pytest.skip("mounting a small volume needs root, and a system that lets it have mounts of its own")
    done = subprocess.run(
        [*APART, sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    full, freed, kept = map(json.loads, done.stdout.splitlines())
    assert full["met"] == "database_full"
    assert freed["met"] is None
    assert kept["rows"] == full["acknowledged"] + 1
