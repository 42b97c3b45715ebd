"""One server for all tests of a module; each test has its own browser and a sandbox without earlier faults."""

from collections.abc import Iterator

import pytest
from installation import Browser, Installation
from signin.site import Sql, site_of


@pytest.fixture(scope="module")
def running_site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Installation]:
    with site_of(tmp_path_factory.mktemp("site"), module_database, keybearer_sandbox_server) as site:
        yield site


@pytest.fixture
def site(running_site: Installation, sandbox) -> Installation:
    assert sandbox is running_site.sandbox
    return running_site


@pytest.fixture
def sql(module_database) -> Sql:
    return Sql(module_database.superuser_url)


@pytest.fixture
def browser(site: Installation) -> Iterator[Browser]:
    browser = site.browser()
    yield browser
    browser.close()


@pytest.fixture
def other(site: Installation) -> Iterator[Browser]:
    """Somebody else's browser."""
    browser = site.browser()
    yield browser
    browser.close()
