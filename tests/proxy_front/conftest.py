"""nginx before a recording upstream, shared by a module; each test sees only its own requests."""

from collections.abc import Iterator

import pytest
from proxy_front.front import Front, front
from proxy_front.upstream import Upstream, plain, recording

# So that tests which are not about limits are not limited.
ROOMY = {"REQUEST_LIMIT": "1000/second", "REQUEST_BURST": "1000", "SIGN_IN_LIMIT": "1000/second"}


@pytest.fixture(scope="module")
def running_upstream() -> Iterator[Upstream]:
    with recording() as upstream:
        yield upstream


@pytest.fixture
def upstream(running_upstream: Upstream) -> Upstream:
    running_upstream.seen.clear()
    running_upstream.script = plain()
    return running_upstream


@pytest.fixture(scope="module")
def plain_front(tmp_path_factory, running_upstream: Upstream) -> Iterator[Front]:
    """Plain http and no proxy that is trusted."""
    with front(tmp_path_factory.mktemp("plain"), running_upstream.port, **ROOMY) as started:
        yield started


@pytest.fixture(scope="module")
def secure_front(tmp_path_factory, running_upstream: Upstream) -> Iterator[Front]:
    """Behind a proxy on this machine that ends TLS, as on a cluster."""
    given = {
        "PUBLIC_URL": "https://keybearer.test",
        "TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8",
        "LIVEKIT_URL": "wss://livekit.test",
        **ROOMY,
    }
    with front(tmp_path_factory.mktemp("secure"), running_upstream.port, **given) as started:
        yield started
