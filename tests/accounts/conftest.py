"""An installation in which people have passwords, as a server and as services in this process."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from accounts.world import World, opened
from installation import Browser
from signin.living import site, sql
from signin.site import Site, site_of

__all__ = ["site", "sql"]


@pytest.fixture
async def world(tmp_path: Path, database) -> AsyncIterator[World]:
    async with opened(tmp_path, database.url) as made:
        yield made


@pytest.fixture(scope="module")
def running_site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    """Two servers over one database, where everybody may register."""
    folder = tmp_path_factory.mktemp("site")
    livekit = {
        "LIVEKIT_URL": "ws://127.0.0.1:7880",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "a secret of 32 characters or more",
    }
    with site_of(
        folder, module_database, keybearer_sandbox_server, processes=2, REGISTRATION_REVEALS="true", **livekit
    ) as site:
        yield site


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    browser = site.browser()
    yield browser
    browser.close()
