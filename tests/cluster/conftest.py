"""An installation of the chart on the cluster that KUBECONFIG names, as long as the session."""

import shutil
from collections.abc import Iterator

import pytest
from cluster import release as releases
from cluster.kube import CHART, namespaced, reachable, run
from cluster.release import Release
from installation import Browser


@pytest.fixture(scope="session")
def cluster() -> None:
    """Fails rather than skips: whoever runs these tests wants to know."""
    assert shutil.which("helm"), "helm is needed on PATH"
    assert reachable(), "KUBECONFIG names no cluster that answers"
    # A cluster has them once, and here it has several releases; who is alone lets the chart bring them.
    run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", str(CHART / "files" / "crds"))


@pytest.fixture(scope="session")
def release(cluster) -> Iterator[Release]:
    with namespaced("keybearer-test") as namespace, releases.installed(namespace) as installed:
        yield installed


@pytest.fixture
def browser(release: Release) -> Iterator[Browser]:
    """A person's browser as far as HTTP goes, signed in and connected."""
    made = Browser(release.url)
    release.sign_in(made)
    release.connect(made)
    yield made
    made.close()
