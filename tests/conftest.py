"""What every test may ask for."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from keybearer.cli import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """One empty PostgreSQL for the whole session; each test module makes databases of its own in it."""
    careless = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    with (
        tempfile.TemporaryDirectory(prefix="kb-") as folder,
        postgres.running(Path(folder), settings=careless) as server,
    ):
        yield server
