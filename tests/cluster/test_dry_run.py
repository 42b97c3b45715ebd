"""A real API server takes every object of every value set, under Pod Security "restricted".

Kinds that the cluster does not have are left out; the test says which may be missing. Run it with and without them.
"""

import json
from collections.abc import Iterator

import pytest
from cluster.kube import Namespace, namespaced, reachable, run, tried
from cluster.render import SETS, rendered

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

OPTIONAL = frozenset({"HTTPRoute", "PodMonitor", "PrometheusRule", "Cluster", "ExternalSecret"})


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    if not reachable():
        pytest.skip("KUBECONFIG names no cluster that answers")
    with namespaced("keybearer-dry-run") as made:
        # The pod of `helm test` is looked at with its account, which a dry run does not make.
        made.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "kb-keybearer"}})
        yield made


@pytest.fixture(scope="module")
def kinds(namespace: Namespace) -> frozenset[str]:
    """Group and kind of all that the cluster serves."""
    lines = run("kubectl", "api-resources", "--no-headers").splitlines()
    return frozenset(f"{version.rpartition('/')[0]}/{kind}" for *_, version, _, kind in map(str.split, lines))


@pytest.mark.parametrize("name", SETS)
def test_the_server_takes_it(name: str, namespace: Namespace, kinds: frozenset[str]) -> None:
    served, missing = [], set()
    for each in rendered(name):
        if f"{each['apiVersion'].rpartition('/')[0]}/{each['kind']}" in kinds:
            served.append(each | {"metadata": each["metadata"] | {"namespace": namespace.name}})
        else:
            missing.add(each["kind"])
    said, warnings = tried("--filename", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": served}))

    assert missing <= OPTIONAL
    assert not warnings
    assert len(said) == len(served)
