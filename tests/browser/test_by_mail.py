"""People register, choose a new password and end a stranger's sessions in the browser, as their mail leads them."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from accounts.world import OTHER, PASSWORD
from browser.conftest import UI
from browser_site import PATIENCE_MS
from installation import Installation, installed
from keybearer_sandbox.testing import RunningSandbox
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, module_database, keybearer_sandbox_server: RunningSandbox
) -> Iterator[Installation]:
    sandbox = keybearer_sandbox_server
    mail = {"SMTP_URL": f"smtp://127.0.0.1:{sandbox.smtp_port}", "MAIL_FROM": "keybearer@example.com"}
    folder = tmp_path_factory.mktemp("site")
    urls = (module_database.url, module_database.owner_url)
    with installed(folder, *urls, sandbox, UI_DIR=str(UI), **mail) as made:
        made.start()
        yield made


@pytest.fixture
def page(chromium: Browser, site: Installation) -> Iterator[Page]:
    context = chromium.new_context(base_url=site.url)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def address() -> str:
    return f"{uuid4().hex[:12]}@example.com"


def link_of(site: Installation, address: str, count: int) -> str:
    """The link of the newest of so many mails that carries a token."""
    deadline = time.monotonic() + 20
    while len(found := site.sandbox.mail(address)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return next(link for link in found[0]["links"] if "#token=" in link)


def register(page: Page, address: str) -> None:
    page.goto("/register")
    page.get_by_label("Name").fill("Dora")
    page.get_by_label("Email").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create my account").click()
    expect(page.get_by_label("Code")).to_be_visible()


def sign_in(page: Page, address: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("Email").fill(address)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def inside(page: Page) -> None:
    expect(page.get_by_role("heading", name="Connections", exact=True)).to_be_visible()


def test_registering_with_the_code(site: Installation, page: Page, address: str) -> None:
    register(page, address)
    assert address not in page.url
    expect(page.get_by_label("Email")).to_have_value(address)
    link_of(site, address, 1)
    page.get_by_label("Code").fill(site.sandbox.mail(address)[0]["code"])
    page.get_by_role("button", name="Confirm my address").click()
    inside(page)


def test_the_links_of_mails(site: Installation, page: Page, address: str) -> None:
    register(page, address)
    page.goto(link_of(site, address, 1))
    expect(page.get_by_role("button", name="Confirm my address")).to_be_visible()
    assert page.url == f"{site.url}/verify-email", "the token is in no history"
    page.get_by_role("button", name="Confirm my address").click()
    inside(page)
    page.context.clear_cookies()

    page.goto("/reset-password")
    page.get_by_label("Email").fill(address)
    page.get_by_role("button", name="Send me a link").click()
    expect(page.get_by_role("heading", name="Look at your mail")).to_be_visible()
    page.goto(link_of(site, address, 2))
    page.get_by_label("New password").fill(OTHER)
    page.get_by_role("button", name="Change my password").click()
    expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
    sign_in(page, address, OTHER)
    inside(page)

    page.goto(link_of(site, address, 3))
    page.get_by_role("button", name="End every session").click()
    expect(page.get_by_role("heading", name="They are out")).to_be_visible()
    sign_in(page, address, OTHER)
    expect(page.get_by_text("password_reset_needed")).to_be_visible()
