"""A release's SecretRotations: where one stands, and one that is asked for."""

import time
from collections.abc import Callable
from typing import Any

from cluster.release import FULL, Release


def rotation(release: Release, name: str) -> dict[str, Any]:
    found: dict[str, Any] = release.namespace.get("secretrotation", f"{FULL}-{name}")
    return found


def is_at_rest(release: Release, name: str) -> bool:
    """Not before the operator has made it, which is a little after the chart is installed."""
    found = {each["metadata"]["name"]: each for each in release.namespace.items("secretrotations")}
    conditions = found.get(f"{FULL}-{name}", {}).get("status", {}).get("conditions", ())
    said = {each["type"]: each["status"] for each in conditions}
    return said.get("Ready") == "True" and said.get("Rotating") == "False"


def rotate(release: Release, name: str, *, meanwhile: Callable[[], object] = lambda: None) -> tuple[str, str]:
    """The active key before and after."""
    namespace = release.namespace
    namespace.until(lambda: is_at_rest(release, name))
    before = rotation(release, name)["status"]["activeKeyID"]
    mark = f"keybearer.dev/rotate-now={time.time_ns()}"
    namespace.kubectl("annotate", "--overwrite", "secretrotation", f"{FULL}-{name}", mark)
    namespace.until(lambda: rotation(release, name)["status"]["step"] != "Idle", seconds=30)
    meanwhile()
    namespace.until(lambda: is_at_rest(release, name))
    return before, rotation(release, name)["status"]["activeKeyID"]
