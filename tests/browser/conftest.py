"""A real Chromium before a real installation that serves the built UI.

The installation lives as long as a module, and each test has people and browser contexts of its own.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_site import PATIENCE_MS, consent
from installation import Installation, installed
from keybearer_sandbox.testing import RunningSandbox
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

REPOSITORY = Path(__file__).parents[2]
UI = REPOSITORY / "frontend-proxy" / "ui" / "dist"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, module_database, keybearer_sandbox_server: RunningSandbox
) -> Iterator[Installation]:
    keybearer_sandbox_server.reset()
    folder = tmp_path_factory.mktemp("site")
    urls = (module_database.url, module_database.owner_url)
    with installed(folder, *urls, keybearer_sandbox_server, UI_DIR=str(UI)) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def chromium(site: Installation) -> Iterator[Browser]:
    """Started after everything that needs an event loop of its own, and ended before."""
    found = os.environ.get("KEYBEARER_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_person(chromium: Browser, site: Installation) -> Iterator[Callable[..., Page]]:
    """Opens a browser of its own, signed in through Google's consent page."""
    contexts: list[BrowserContext] = []

    def open_browser(account: str = "alice@example.com", **options: object) -> Page:
        context = chromium.new_context(base_url=site.url, **options)  # type: ignore[arg-type]  # Playwright's own options
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.goto("/")
        page.get_by_role("button", name="Continue with Google").click()
        consent(page, account)
        expect(page.get_by_role("heading", name="Connections", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        return page

    yield open_browser
    for context in contexts:
        context.close()
