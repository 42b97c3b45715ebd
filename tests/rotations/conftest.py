"""A namespace with pods whose Secrets are rotated."""

from collections.abc import Iterator

import pytest
from cluster.kube import Namespace, namespaced, run
from rotations.site import CRDS, Operators, deployment, secrets


@pytest.fixture(scope="session")
def crd() -> None:
    run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    run("kubectl", "wait", "--for=condition=Established", "-f", str(CRDS), "--timeout=30s")


@pytest.fixture(scope="session")
def namespace(crd: None) -> Iterator[Namespace]:
    with namespaced("op-rotation") as made:
        made.apply(*secrets(), deployment())
        made.rolled_out("deployment/backend")
        yield made


@pytest.fixture
def operators(namespace: Namespace) -> Iterator[Operators]:
    made = Operators(namespace.name)
    yield made
    made.kill()
    namespace.kubectl("delete", "secretrotations", "--all")
