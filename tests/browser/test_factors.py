"""Second factors as a person meets them: set up, asked for, lost, and asked for again before what matters."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from browser_site import PATIENCE_MS, consent, faults
from installation import App, Installation
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from signin.site import Sql

pytestmark = pytest.mark.browser

PASSWORD = "violet kettle under nine bridges"
OTHER = "seven slow herons over slate"
# What a laptop has: it keeps passkeys, and looks at its person's finger.
LAPTOP = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
Arrive = Callable[..., Page]


@pytest.fixture
def an_hour_later(module_database) -> Callable[[], None]:
    """What people showed lately was shown an hour before. In a thread: this one has Playwright's event loop."""

    def age() -> None:
        with ThreadPoolExecutor(1) as pool:
            aged = "UPDATE sessions SET proved_at = now() - interval '1 hour'"
            pool.submit(Sql(module_database.superuser_url).all, aged).result()

    return age


@pytest.fixture
def open_page(chromium: Browser, site: Installation) -> Iterator[Arrive]:
    """A browser of its own."""
    contexts: list[BrowserContext] = []

    def open_browser(**options: object) -> Page:
        context = chromium.new_context(base_url=site.url, **options)  # type: ignore[arg-type]  # Playwright's own options
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        return context.new_page()

    yield open_browser
    for context in contexts:
        context.close()


@pytest.fixture
def arrive(open_page: Arrive, site: Installation) -> Arrive:
    """Somebody new with a password, signed in."""

    def register(email: str, **options: object) -> Page:
        invitation = site.command("admin", "invite", email).stdout.strip()
        newcomer = {"email": email, "password": PASSWORD, "full_name": "Dora", "invitation": invitation}
        registered = httpx2.post(f"{site.url}/api/auth/register", json=newcomer)
        assert registered.status_code == 201, registered.text
        page = open_page(**options)
        page.goto("/account")
        show_password(page, email)
        expect(page.get_by_role("heading", name="Security")).to_be_visible(timeout=PATIENCE_MS)
        return page

    return register


def show_password(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def is_in(page: Page) -> None:
    expect(page.get_by_role("heading", name="Connections", exact=True)).to_be_visible(timeout=PATIENCE_MS)


def leave(page: Page) -> None:
    """The browser stays the one that it was, without its session."""
    page.context.clear_cookies(name=re.compile("session"))
    page.goto("/sign-in")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=PATIENCE_MS)


def add_app(page: Page, button: str = "Add authenticator app") -> App:
    """Up to the recovery codes, which are still to be seen."""
    page.get_by_role("button", name=button).click()
    app = App("", page.get_by_test_id("totp-secret").inner_text())
    show_code(page, app.code(-1), "Confirm")
    app.recovery_codes = page.get_by_test_id("recovery-codes").inner_text().split()
    assert len(app.recovery_codes) == 10
    return app


def enrol(page: Page) -> App:
    app = add_app(page)
    page.get_by_role("button", name="Done, I have kept them").click()
    return app


def show_code(page: Page, code: str, button: str, label: str = "Code") -> None:
    page.get_by_label(label, exact=True).fill(code)
    page.get_by_role("button", name=button, exact=True).click()


def add_laptop(page: Page) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": LAPTOP})


def security(page: Page) -> Locator:
    return page.get_by_role("list", name="What shows that it is you")


def test_an_authenticator_app_is_set_up_and_asked_for(arrive: Arrive, tmp_path: Path) -> None:
    page = arrive("app@example.com")
    expect(security(page)).to_contain_text("No second factor yet")
    app = add_app(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "codes.txt")
    assert (tmp_path / "codes.txt").read_text().split("\n")[3:13] == app.recovery_codes
    page.get_by_role("button", name="Done, I have kept them").click()
    expect(security(page)).to_contain_text("Authenticator app")
    expect(security(page)).to_contain_text("10 left")

    leave(page)
    show_password(page, "app@example.com")
    code = page.get_by_label("Code", exact=True)
    expect(code).to_be_focused(timeout=PATIENCE_MS)
    expect(code).to_have_attribute("autocomplete", "one-time-code")
    expect(code).to_have_attribute("inputmode", "numeric")
    show_code(page, "000000", "Sign in")
    expect(page.get_by_role("alert")).to_contain_text("not right, or was used before", timeout=PATIENCE_MS)
    now = app.code()
    show_code(page, f"{now[:3]} {now[3:]}", "Sign in")
    is_in(page)


def test_a_passkey_signs_in_alone(arrive: Arrive) -> None:
    page = arrive("passkey@example.com")
    add_laptop(page)
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name").fill("Work laptop")
    page.get_by_role("button", name="Create the passkey").click()
    page.get_by_role("button", name="Done, I have kept them").click()
    expect(security(page)).to_contain_text("Work laptop")

    # The address field offers it, and what it offers is taken at once by this authenticator.
    page.context.clear_cookies()
    page.goto("/sign-in")
    is_in(page)
    page.goto("/account")
    expect(security(page)).to_contain_text("last used")

    page.add_init_script("delete PublicKeyCredential.isConditionalMediationAvailable")
    leave(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    is_in(page)

    leave(page)
    show_password(page, "passkey@example.com")
    expect(page.get_by_role("button", name="Use a passkey", exact=True)).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.press("Enter")
    is_in(page)


def test_a_lost_device_is_replaced_with_a_recovery_code(arrive: Arrive) -> None:
    page = arrive("lost@example.com")
    lost = enrol(page)
    leave(page)
    show_password(page, "lost@example.com")
    page.get_by_role("button", name="Use a recovery code instead").click()
    show_code(page, lost.recovery_codes[0], "Sign in", "Recovery code")
    is_in(page)

    page.goto("/account")
    expect(security(page)).to_contain_text("9 left")
    new = add_app(page, "Replace authenticator app")
    page.get_by_role("button", name="Done, I have kept them").click()
    page.get_by_role("button", name="Make new ones").click()
    page.get_by_role("button", name="Make new codes").click()
    newer = page.get_by_test_id("recovery-codes").inner_text().split()
    page.get_by_role("button", name="Done, I have kept them").click()
    assert len({*lost.recovery_codes, *new.recovery_codes, *newer}) == 30

    leave(page)
    show_password(page, "lost@example.com")
    page.get_by_role("button", name="Use a recovery code instead").click()
    show_code(page, lost.recovery_codes[1], "Sign in", "Recovery code")
    expect(page.get_by_role("alert")).to_contain_text("factor_wrong", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Use the authenticator app instead").click()
    show_code(page, new.code(), "Sign in")
    is_in(page)


def test_removing_a_factor_asks_first_and_goes_on(arrive: Arrive, an_hour_later: Callable[[], None]) -> None:
    page = arrive("step-up@example.com")
    app = enrol(page)
    an_hour_later()
    page.get_by_role("button", name="Remove Authenticator app").click()
    confirm = page.get_by_role("alertdialog")
    confirm.get_by_role("button", name="Remove Authenticator app").click()
    dialog = page.get_by_role("dialog", name="Show that it is you")
    expect(dialog.get_by_label("Code")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(confirm.get_by_role("button", name="Remove Authenticator app")).to_be_focused()
    expect(confirm).to_contain_text("reauthenticate")

    confirm.get_by_role("button", name="Remove Authenticator app").click()
    dialog.get_by_label("Code").fill("000000")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("not right", timeout=PATIENCE_MS)
    dialog.get_by_label("Code").fill(app.code())
    page.keyboard.press("Enter")
    expect(security(page)).to_contain_text("No second factor yet", timeout=PATIENCE_MS)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_with_the_first_factor_the_provider_is_asked_again(new_person: Callable[..., Page]) -> None:
    page = new_person("carol@example.com")
    page.goto("/account")
    page.get_by_role("button", name="Add authenticator app").click()
    page.get_by_role("button", name="Sign in again with Google").click()
    consent(page, "carol@example.com")
    expect(page.get_by_role("img", name="QR code")).to_be_visible(timeout=PATIENCE_MS)
    assert page.get_by_role("img", name="QR code").evaluate("image => image.naturalWidth > 100"), "it is a picture"


def test_a_lock_says_when_it_ends_and_lets_a_recovery_code_through(arrive: Arrive, open_page: Arrive) -> None:
    app = enrol(arrive("locked@example.com"))
    page = open_page()
    page.goto("/sign-in")
    show_password(page, "locked@example.com")
    page.get_by_label("Code", exact=True).wait_for()
    for _ in range(5):
        with page.expect_response("**/api/auth/login"):
            show_code(page, "000000", "Sign in")
    show_code(page, app.code(), "Sign in")
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"Try again in 1[45] min"), timeout=PATIENCE_MS)
    page.get_by_role("button", name="Use a recovery code instead").click()
    show_code(page, app.recovery_codes[0].upper(), "Sign in", "Recovery code")
    is_in(page)


def test_a_password_is_changed(arrive: Arrive) -> None:
    page = arrive("password@example.com")
    page.get_by_role("button", name="Change password").click()
    for current, new, told in (
        (OTHER, OTHER, "password_wrong"),
        (PASSWORD, "password", "password_refused"),
        (PASSWORD, OTHER, "Your password is changed."),
    ):
        page.get_by_label("Current password").fill(current)
        page.get_by_label("New password").fill(new)
        page.get_by_role("dialog").get_by_role("button", name="Change password").click()
        expect(page.get_by_role("dialog")).to_contain_text(told, timeout=PATIENCE_MS)
    page.get_by_role("button", name="Done").click()
    leave(page)
    show_password(page, "password@example.com", OTHER)
    is_in(page)


def test_what_asks_for_a_factor_is_accessible_and_fits(arrive: Arrive, an_hour_later: Callable[[], None]) -> None:
    page = arrive("narrow@example.com", color_scheme="dark", viewport={"width": 360, "height": 740})
    enrol(page)
    assert faults(page) == []
    page.get_by_role("button", name="Change password").click()
    page.get_by_label("Current password").wait_for()
    assert faults(page) == []
    an_hour_later()
    page.goto("/account/authenticator")
    page.get_by_role("dialog", name="Show that it is you").wait_for()
    assert faults(page) == []
    leave(page)
    show_password(page, "narrow@example.com")
    page.get_by_label("Code", exact=True).wait_for()
    assert faults(page) == []
