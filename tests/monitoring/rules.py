"""The chart's files of rules, and promtool."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "keybearer"
FILES = sorted((CHART / "files" / "prometheus").glob("*.yaml"))
TESTS = sorted(Path(__file__).parent.glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"


@cache
def rules(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def alerts() -> list[tuple[Path, dict[str, Any]]]:
    """Each with its file; a name may be there more than once."""
    return [(file, rule) for file in FILES for rule in rules(file) if "alert" in rule]


def recorded() -> set[str]:
    return {rule["record"] for file in FILES for rule in rules(file) if "record" in rule}


def promtool(*words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    program = os.environ.get("KEYBEARER_TEST_PROMTOOL") or shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool on PATH (on Debian it is in the package prometheus)")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, cwd=cwd, timeout=100)
