"""Looks into built images with buildah, and runs what is in them.

`make images` builds them; tests that find none are skipped. KEYBEARER_TEST_BUILDAH is the command that sees them, where
it is not plain buildah.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
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
        return subprocess.run(
            self.line(*command, environment=environment), capture_output=True, text=True, check=False, timeout=60
        )

    def line(self, *command: str, environment: Mapping[str, str], mounts: Sequence[str] = ()) -> list[str]:
        """The command line that runs `command` in here, on this machine's network."""
        given = [f"--env={name}={value}" for name, value in environment.items()]
        given += [f"--volume={mount}" for mount in mounts]
        return [*BUILDAH, "run", "--isolation", "chroot", *given, self.container, "--", *command]

    @contextmanager
    def running(
        self, *command: str, environment: Mapping[str, str], log: Path, mounts: Sequence[str] = ()
    ) -> Iterator[None]:
        """Ends the program itself, which buildah then follows."""
        with log.open("wb") as output:
            line = self.line(*command, environment=environment, mounts=mounts)
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            yield
        finally:
            inside = psutil.Process(process.pid).children(recursive=True)
            for each in reversed(inside):
                each.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                for each in inside:
                    each.kill()
                process.wait()


def opened(name: str) -> Iterator[Image]:
    """`name` is a target of the Dockerfile, or another image's full name."""
    reference = name if ":" in name else f"keybearer/{name}:dev"
    if os.geteuid() != 0 or not shutil.which(BUILDAH[0]):
        pytest.skip("looking into images needs buildah, as root")
    started = _buildah("from", "--pull-never", reference, check=False)
    if started.returncode:
        pytest.skip(f"there is no image {reference} here; `make images` builds our own")
    container = started.stdout.strip()
    try:
        root = Path(_buildah("mount", container).stdout.strip())
        config = json.loads(_buildah("inspect", container).stdout)["OCIv1"]["config"]
        yield Image(container, root, config)
    finally:
        _buildah("rm", container)


def _buildah(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*BUILDAH, *arguments], capture_output=True, text=True, check=check, timeout=120)
