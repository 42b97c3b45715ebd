"""The benchmark is no test of speed; this only sees that it still runs."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


@pytest.mark.long
def test_it_measures_and_prints_a_table() -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), "--quick", "--only", "start"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| start " in done.stdout
    assert "`keybearer serve` to ready" in done.stdout
