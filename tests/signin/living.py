"""Fixtures: a server that the tests of a module share, a browser for each test, a sandbox without earlier faults."""

from collections.abc import Iterator

import pytest
from installation import Browser
from signin.site import Site, Sql, site_of


@pytest.fixture(scope="module")
def running_site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    with site_of(tmp_path_factory.mktemp("site"), module_database, keybearer_sandbox_server) as site:
        yield site


@pytest.fixture
def site(running_site: Site, sandbox) -> Site:
    assert sandbox is running_site.sandbox
    return running_site


@pytest.fixture
def sql(module_database) -> Sql:
    return Sql(module_database.superuser_url)


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    browser = site.browser()
    yield browser
    browser.close()


@pytest.fixture
def other(site: Site) -> Iterator[Browser]:
    """Somebody else's browser."""
    browser = site.browser()
    yield browser
    browser.close()
