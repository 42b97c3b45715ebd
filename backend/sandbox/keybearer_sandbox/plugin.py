"""pytest fixtures: one sandbox process for the whole session, emptied before each test that asks for it.

pytest loads this module in every run where the distribution is installed, so nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from keybearer_sandbox.testing import RunningSandbox

_REDIRECT_URIS = "keybearer_sandbox_redirect_uris"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_REDIRECT_URIS, "Redirect URIs registered at the sandbox's providers.", type="linelist")


@pytest.fixture(scope="session")
def keybearer_sandbox_server(pytestconfig: pytest.Config) -> Iterator[RunningSandbox]:
    """A sandbox in a process of its own, which ends with the session, or with pytest itself."""
    from keybearer_sandbox.testing import run_sandbox

    with run_sandbox(redirect_uris=tuple(pytestconfig.getini(_REDIRECT_URIS))) as running:
        yield running


@pytest.fixture
def sandbox(keybearer_sandbox_server: RunningSandbox) -> RunningSandbox:
    """The session's sandbox without faults, tokens, counts or mails of earlier tests."""
    keybearer_sandbox_server.reset()
    return keybearer_sandbox_server
