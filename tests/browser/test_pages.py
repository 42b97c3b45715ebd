"""Every page in both themes, wide and at 360 px: accessible, within its width, and quiet on the console.

With KEYBEARER_SCREENSHOTS=FOLDER each is kept as a picture, for a person to look at.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser_site import connect, create_grant, faults, run_demo
from installation import Installation
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SIZES = {"wide": {"width": 1200, "height": 800}, "narrow": {"width": 360, "height": 740}}
PAGES = [
    "/connections",
    "/connections/connect/spotify",
    "/agents",
    "/agents/new",
    "/activity",
    "/account",
    "/account/passkey",
    "/account/authenticator",
    "/nowhere",
]
STRANGERS_PAGES = [
    "/sign-in",
    "/sign-in/problem?code=flow_expired&provider=google&return_to=%2F",
    "/register",
    "/verify-email",
    "/verify-email#token=kbm_x",
    "/reset-password",
    "/reset-password#token=kbm_x",
    "/not-me",
]


def examine(page: Page, path: str, name: str) -> list[str]:
    """What is wrong with a page, in words."""
    messages: list[str] = []

    def heard(message: Any) -> None:
        # A stranger's 401 and a sandbox picture that no name leads to are no faults of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            messages.append(f"console: {message.text}")

    page.on("console", heard)
    page.goto(path)
    page.wait_for_selector("h1")
    page.wait_for_timeout(250)
    if folder := os.environ.get("KEYBEARER_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")
    messages += faults(page)
    page.remove_listener("console", heard)
    return messages


@pytest.mark.parametrize(
    ("theme", "size"),
    [
        ("dark", "narrow"),
        pytest.param("light", "wide", marks=pytest.mark.long),
        pytest.param("dark", "wide", marks=pytest.mark.long),
        pytest.param("light", "narrow", marks=pytest.mark.long),
    ],
)
def test_every_page_is_accessible_and_fits(
    site: Installation, new_person: Callable[..., Page], chromium: Any, theme: str, size: str
) -> None:
    options = {"color_scheme": theme, "viewport": SIZES[size]}
    page = new_person("dora@example.com", **options)
    if not page.request.get("/api/connections").json()["items"]:
        connect(page, "Spotify", "dora@example.com")
        assert run_demo(site, create_grant(page, "demo")).returncode == 0
    context = chromium.new_context(base_url=site.url, **options)
    stranger = context.new_page()
    wrong = {}
    for path in PAGES:
        wrong[path] = examine(page, path, f"{path.strip('/').replace('/', '-')}-{theme}-{size}")
    for path in STRANGERS_PAGES:
        wrong[path] = examine(stranger, path, f"{path.strip('/').partition('?')[0].replace('/', '-')}-{theme}-{size}")
    context.close()
    assert {path: problems for path, problems in wrong.items() if problems} == {}


def test_the_browser_keeps_nothing_but_the_theme(new_person: Callable[..., Page]) -> None:
    page = new_person("dora@example.com")
    page.goto("/account")
    page.get_by_role("radio", name="Dark theme").first.check(force=True)
    stored = page.evaluate("[Object.keys(localStorage), Object.keys(sessionStorage)]")
    assert [len(each) for each in stored] == [1, 0]
    assert "theme" in stored[0][0]
    assert page.evaluate("document.cookie") == ""


def test_a_keyboard_alone_creates_a_grant(site: Installation, new_person: Callable[..., Page]) -> None:
    page = new_person("dora@example.com")
    if not page.request.get("/api/connections").json()["items"]:
        connect(page, "Spotify", "dora@example.com")
    page.goto("/agents/new")
    page.get_by_label("Agent name").focus()
    page.keyboard.type("keyboard")
    page.keyboard.press("Enter")
    assert page.get_by_test_id("grant-secret").inner_text().startswith("kbg_")
    page.keyboard.press("Escape")
