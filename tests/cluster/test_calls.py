"""An agent pool on the chart's LiveKit server: calls go on while workers become fewer and while a new version comes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cluster.kube import REPOSITORY, TAG, Program
from cluster.release import FULL, Release

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

URL = f"ws://{FULL}-livekit:7880"


def pool(**container: Any) -> dict[str, Any]:
    """Two calls a worker; small, for a node that others need too."""
    aide = {
        "name": "aide",
        "image": f"keybearer/agent:{TAG}",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": "20m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
        **container,
    }
    return {
        "apiVersion": "keybearer.dev/v1alpha1",
        "kind": "AgentPool",
        "metadata": {"name": "aide"},
        "spec": {
            "agentName": "aide",
            "livekit": {"url": URL, "credentialsRef": {"name": f"{FULL}-livekit"}},
            "capacity": {"jobsPerWorker": 2, "warmBuffer": 0, "min": 1, "max": 3},
            "drain": {"timeoutSeconds": 600},
            "template": {"spec": {"containers": [aide]}},
        },
    }


@pytest.fixture
def aide(release: Release) -> Iterator[None]:
    release.namespace.rolled_out(f"deployment/{FULL}-operator")
    release.namespace.apply(pool())
    yield
    release.namespace.kubectl("delete", "agentpool", "aide", "--wait=false")


def status(release: Release) -> dict[str, Any]:
    found: dict[str, Any] = release.namespace.get("agentpool", "aide").get("status", {})
    return found


def versions(release: Release) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = status(release)["versions"]
    return found


def is_settled(release: Release, *, workers: int, calls: int) -> bool:
    now = status(release)
    counts = (now.get("replicas"), now.get("readyReplicas"), now.get("activeJobs"), now.get("drainingReplicas"))
    return counts == (workers, workers, calls, 0)


def call(release: Release, name: str, *rooms: str) -> Program:
    """A person in each room, who goes on asking until `leave`."""
    entries = {"LIVEKIT_API_KEY": "api-key", "LIVEKIT_API_SECRET": "api-secret"}
    env = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": f"{FULL}-livekit", "key": entry}}}
        for key, entry in entries.items()
    ]
    script = (REPOSITORY / "tests" / "cluster" / "callers.py").read_text(encoding="utf-8")
    program = release.namespace.program(name, script, URL, *rooms, image="keybearer/agent", env=env)
    program.started()
    release.namespace.until(lambda: "calling" in release.namespace.kubectl("exec", name, "--", "ls", "/tmp"))
    return program


def leave(release: Release, program: Program, *rooms: str) -> dict[str, Any]:
    """What their calls were like."""
    release.namespace.kubectl("exec", program.name, "--", "touch", *(f"/tmp/leave-{room}" for room in rooms))
    told: dict[str, Any] = json.loads(program.finished().splitlines()[-1])
    return told


def test_no_call_is_dropped_by_a_scale_down_or_a_new_version(release: Release, aide: None) -> None:
    namespace = release.namespace
    namespace.until(lambda: is_settled(release, workers=1, calls=0))
    first = call(release, "callers-one", "one", "two")
    namespace.until(lambda: is_settled(release, workers=1, calls=2))
    namespace.kubectl("scale", "agentpool", "aide", "--replicas=2")
    namespace.until(lambda: is_settled(release, workers=2, calls=2))
    second = call(release, "callers-two", "three", "four")
    namespace.until(lambda: is_settled(release, workers=2, calls=4))

    # Two calls end and the floor goes, while the other two go on. The operator is killed in the middle.
    namespace.kubectl("scale", "agentpool", "aide", "--replicas=1")
    release.kill("operator")
    told = leave(release, first, "one", "two")
    namespace.until(lambda: is_settled(release, workers=1, calls=2))

    # A new version, whose worker takes the next call.
    namespace.apply(pool(env=[{"name": "ROUND", "value": "2"}]))
    release.kill("operator")
    namespace.until(lambda: [each["phase"] for each in versions(release)] == ["Current", "Draining"])
    third = call(release, "callers-three", "five")
    namespace.until(lambda: [each["activeJobs"] for each in versions(release)] == [1, 2])
    told |= leave(release, second, "three", "four")
    namespace.until(lambda: [each["phase"] for each in versions(release)] == ["Current"])
    told |= leave(release, third, "five")

    print(told)
    assert set(told) == {"one", "two", "three", "four", "five"}
    assert not [room for room, each in told.items() if each["dropped"] or each["answered"] != each["asked"]], told
    namespace.until(lambda: is_settled(release, workers=1, calls=0))
