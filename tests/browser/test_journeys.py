"""The journeys that the product exists for, as a person and an agent live them."""

import re
from collections.abc import Callable

import httpx2
import pytest
from browser_site import PATIENCE_MS, connect, consent, create_grant, run_demo
from installation import Installation
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser


def test_connect_grant_play_expire_restart_play_disconnect(site: Installation, new_person: Callable[..., Page]) -> None:
    page = new_person("alice@example.com")
    connect(page, "Spotify")
    grant = create_grant(page, "demo")
    first = run_demo(site, grant)
    assert first.returncode == 0, first.stderr
    page.goto("/activity")
    expect(page.get_by_text("played a track on").first).to_be_visible()

    site.sandbox.control("spotify", "expire_access_tokens")
    site.stop()
    site.start()
    again = run_demo(site, grant)
    assert again.returncode == 0, again.stderr
    assert site.sandbox.stats()["spotify"]["refresh"] == 1

    page.goto("/connections")
    page.get_by_role("link", name=re.compile("Spotify")).first.click()
    page.get_by_role("button", name="Disconnect Spotify").click()
    confirm = page.get_by_role("alertdialog")
    expect(confirm).to_contain_text("1 agent loses Spotify")
    confirm.get_by_role("button", name="Disconnect Spotify").click()
    expect(page.get_by_text("Nothing is connected").first).to_be_visible()
    refused = run_demo(site, grant)
    assert refused.returncode != 0
    assert "grant" in refused.stderr.lower() or "grant" in refused.stdout.lower()


def test_a_denied_consent_is_explained_and_changes_nothing(new_person: Callable[..., Page]) -> None:
    page = new_person("bob@example.com")
    page.get_by_role("button", name="Connect Spotify").click()
    page.get_by_role("button", name="Continue to Spotify").click()
    consent(page, "bob@example.com", "Deny")
    expect(page.get_by_text("consent_denied")).to_be_visible()
    expect(page.get_by_text("Nothing is connected").first).to_be_visible()


def test_a_password_opens_what_a_provider_opens(site: Installation, chromium: Browser) -> None:
    invitation = site.command("admin", "invite", "dora@example.com").stdout.strip()
    newcomer = {"email": "dora@example.com", "password": "violet kettle under nine bridges", "full_name": "Dora"}
    registered = httpx2.post(f"{site.url}/api/auth/register", json={**newcomer, "invitation": invitation})
    assert registered.status_code == 201, registered.text

    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    page.goto("/activity")
    for password, outcome in (("violet kettle", "credentials_wrong"), (newcomer["password"], "Activity")):
        page.get_by_label("Email").fill("dora@example.com")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_text(outcome, exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("signed in with a password").first).to_be_visible(timeout=PATIENCE_MS)
    assert (
        page.evaluate("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)").find("kb") < 0
    )
    context.close()


def test_a_session_ended_from_another_browser_ends_under_its_eyes(new_person: Callable[..., Page]) -> None:
    here, there = new_person("carol@example.com"), new_person("carol@example.com")
    here.goto("/account")
    here.get_by_role("button", name="End all others").click()
    here.get_by_role("alertdialog").get_by_role("button", name=re.compile("^End")).click()
    expect(there).to_have_url(re.compile("/sign-in"), timeout=15_000)
    expect(here.get_by_text("This session")).to_be_visible()
