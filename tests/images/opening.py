"""Looks into built images with buildah, and runs what is in them.

`make images` builds them; tests that find none are skipped. KEYBEARER_TEST_BUILDAH is the command that sees them, where
it is not plain buildah.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BUILDAH = shlex.split(os.environ.get("KEYBEARER_TEST_BUILDAH", "buildah"))


@dataclass(frozen=True)
class Image:
    container: str
    root: Path
    config: dict[str, Any]

    def has(self, pattern: str) -> bool:
        return any(self.root.glob(pattern))

    def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        given = [f"--env={name}={value}" for name, value in environment.items()]
        line = [*BUILDAH, "run", "--isolation", "chroot", *given, self.container, "--", *command]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


def opened(name: str) -> Iterator[Image]:
    if os.geteuid() != 0 or not shutil.which(BUILDAH[0]):
        pytest.skip("looking into images needs buildah, as root")
    started = _buildah("from", "--pull-never", f"keybearer/{name}:dev", check=False)
    if started.returncode:
        pytest.skip(f"there is no image keybearer/{name}:dev; `make images` builds it")
    container = started.stdout.strip()
    try:
        root = Path(_buildah("mount", container).stdout.strip())
        config = json.loads(_buildah("inspect", container).stdout)["OCIv1"]["config"]
        yield Image(container, root, config)
    finally:
        _buildah("rm", container)


def _buildah(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*BUILDAH, *arguments], capture_output=True, text=True, check=check, timeout=120)
