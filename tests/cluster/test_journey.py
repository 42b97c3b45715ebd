"""What the product exists for, on a cluster and through its nginx: a person in a browser, an agent beside it."""

import os
import re
import shutil
from collections.abc import Iterator

import pytest
from browser_site import PATIENCE_MS, connect, consent, create_grant, run_demo
from cluster.release import NAME, Release
from playwright.sync_api import Page, expect, sync_playwright

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture
def page(release: Release) -> Iterator[Page]:
    found = os.environ.get("KEYBEARER_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        page = browser.new_context(base_url=release.url).new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def test_sign_in_connect_and_let_the_agent_play(release: Release, page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Continue with Google").click()
    consent(page, "bob@example.com")
    expect(page.get_by_role("heading", name="Connections", exact=True)).to_be_visible()
    connect(page, "Spotify", "bob@example.com")
    grant = create_grant(page, "demo")
    played = run_demo(release, grant)
    assert played.returncode == 0, played.stderr
    page.goto("/activity")
    expect(page.get_by_text("played a track on").first).to_be_visible()

    release.sandbox.control("spotify", "expire_access_tokens")
    again = run_demo(release, grant)
    assert again.returncode == 0, again.stderr

    page.goto("/connections")
    page.get_by_role("link", name=re.compile("Spotify")).first.click()
    page.get_by_role("button", name="Disconnect Spotify").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Disconnect Spotify").click()
    expect(page.get_by_text("Nothing is connected").first).to_be_visible()
    assert run_demo(release, grant).returncode != 0


def test_helm_test_passes(release: Release) -> None:
    assert "Succeeded" in release.namespace.helm("test", NAME, "--timeout", "3m")
