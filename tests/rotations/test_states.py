"""docs/rotation-states.md shows what kubectl prints of a rotation in each state, as it printed it here."""

import json
from typing import Any

import pytest
from cluster.documented import check, described, listed
from cluster.kube import Namespace
from rotations.site import (
    Operators,
    ask,
    deployment,
    idle,
    keyring_secret,
    name_consumers,
    rotate,
    rotated,
    status,
    waits_for,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PAGE = "rotation-states.md"
NAME = "encryption-key"


def shown(namespace: Namespace, title: str, name: str = NAME) -> None:
    printed = namespace.kubectl("get", "secretrotations", name)
    check(PAGE, title, listed(printed), described(namespace.kubectl("describe", "secretrotation", name)))


def silent() -> dict[str, Any]:
    """Runs, and answers nobody."""
    made = deployment(name="backend-silent")
    made["spec"]["template"]["spec"]["containers"][0]["command"] = ["python", "-c", "import time; time.sleep(1e6)"]
    return made


def test_each_state_is_shown_as_it_is(namespace: Namespace, operators: Operators) -> None:
    # What other tests made of the Secret would show.
    namespace.kubectl("delete", "secret", "keyring")
    namespace.apply(keyring_secret("keyring", "k20260101000000"))
    operators.start()
    rotate(namespace, NAME, "AESKeyring", secret="keyring", overlap={"min": "5s", "max": "10s"})
    before = idle(namespace, NAME)["activeKeyID"]
    shown(namespace, "At rest")

    ask(namespace, NAME, "now")
    namespace.until(lambda: status(namespace, NAME).get("step") == "Staged")
    both = [{"kind": "Deployment", "name": name} for name in ("backend", "backend-silent")]
    namespace.apply(silent())
    name_consumers(namespace, NAME, both)
    waits_for(namespace, NAME, "Degraded", "ConsumersNotConverged")
    shown(namespace, "A pod does not report")

    name_consumers(namespace, NAME, both[:1])
    namespace.kubectl("delete", "deployment", "backend-silent")
    rotated(namespace, NAME, before)
    shown(namespace, "After a rotation")

    suspended = json.dumps({"spec": {"suspend": True}})
    namespace.kubectl("patch", f"sr/{NAME}", "--type=merge", "-p", suspended)
    waits_for(namespace, NAME, "Ready", "Suspended")
    shown(namespace, "Suspended")

    rotate(namespace, "another", "AESKeyring", secret="not-there")
    waits_for(namespace, "another", "Degraded", "SecretMissing")
    shown(namespace, "The Secret is missing", "another")
