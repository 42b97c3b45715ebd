"""Installations for tests of the whole product."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Browser, Installation, installed


@pytest.fixture
def installation(tmp_path: Path, database, sandbox) -> Iterator[Installation]:
    """Keys, provider files and a database of its own; the test starts as many processes as it needs."""
    with installed(tmp_path, database.url, database.owner_url, sandbox) as made:
        yield made


@pytest.fixture
def server(installation: Installation) -> Installation:
    """An installation with one process running."""
    installation.start()
    return installation


@pytest.fixture
def browser(server: Installation) -> Iterator[Browser]:
    browser = server.browser()
    yield browser
    browser.close()
