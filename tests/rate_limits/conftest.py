"""A Valkey for each test, where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from rate_limits.servers import Valkey, program


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(program(), tmp_path)
    server.start()
    yield server
    server.stop()
