"""What a person does in the browser, and an agent on the command line, in the tests of the whole site."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from playwright.sync_api import Page, expect

PATIENCE_MS = 15_000
AXE = Path(__file__).parents[1] / "frontend-proxy" / "ui" / "node_modules" / "axe-core" / "axe.min.js"


class Site(Protocol):
    """An installation, wherever it runs."""

    @property
    def url(self) -> str: ...


def consent(page: Page, account: str = "alice@example.com", decision: str = "Allow") -> None:
    """What a person does on a provider's own page."""
    page.get_by_text(account).first.click()
    page.get_by_role("button", name=decision).click()


def faults(page: Page) -> list[str]:
    """What keeps somebody from using the page as it is now: what axe finds serious, and scrolling sideways."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [v for v in found["violations"] if v["impact"] in {"serious", "critical"}]
    messages = [f"axe: {v['id']} at {v['nodes'][0]['target']}" for v in serious]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        messages.append("it scrolls sideways")
    return messages


def connect(page: Page, provider: str, account: str = "alice@example.com") -> None:
    page.goto("/connections")
    page.get_by_role("button", name=f"Connect {provider}").click()
    page.get_by_role("button", name=f"Continue to {provider}").click()
    consent(page, account)
    expect(page.get_by_text("Active", exact=True).first).to_be_visible(timeout=PATIENCE_MS)


def create_grant(page: Page, agent: str) -> str:
    """The grant as it is shown this once."""
    page.goto("/agents")
    page.get_by_role("button", name="New grant").first.click()
    page.get_by_label("Agent name").fill(agent)
    page.get_by_role("dialog").get_by_role("button", name="Create grant").click()
    secret = page.get_by_test_id("grant-secret").inner_text()
    page.get_by_role("button", name="Done, I have copied it").click()
    return secret


def run_demo(site: Site, grant: str) -> subprocess.CompletedProcess[str]:
    """The command that the page shows, in a process that knows nothing but the grant."""
    return subprocess.run(
        [sys.executable, "-m", "keybearer_agent.demo", "Play Despacito"],
        env={"PATH": os.environ["PATH"], "KEYBEARER_URL": site.url, "KEYBEARER_GRANT": grant},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
