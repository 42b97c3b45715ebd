"""An installation that writes mails: as two servers over the sandbox's real inbox, and as services in this process."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from accounts.world import PASSWORD, World, opened
from installation import Browser
from signin.living import sql
from signin.site import Site, site_of

__all__ = ["sql"]


@dataclass
class Mailed:
    """A site, and what arrives in the inbox."""

    site: Site
    address: str

    def wait(self, count: int) -> dict[str, Any]:
        """The newest of `count` mails."""
        deadline = time.monotonic() + 20
        while len(found := self.site.sandbox.mail(self.address)) < count:
            assert time.monotonic() < deadline, f"{len(found)} mails, and not {count}"
            time.sleep(0.05)
        assert len(found) == count
        newest: dict[str, Any] = found[0]
        return newest

    def registered(self, browser: Browser, password: str = PASSWORD) -> dict[str, Any]:
        """The mail to whoever registers."""
        before = len(self.site.sandbox.mail(self.address))
        body = {"email": self.address, "password": password, "full_name": "Dora"}
        answer = browser.post("/api/auth/register", json=body)
        assert (answer.status_code, list(answer.json())) == (202, ["detail"]), answer.text
        return self.wait(before + 1)

    def confirmed(self, browser: Browser) -> None:
        """Somebody new, who is signed in."""
        mail = self.registered(browser)
        browser.client.headers["Keybearer-Session"] = "cookie"
        answer = browser.post("/api/auth/email/verify", json={"token": token_of(mail)})
        assert answer.status_code == 200, answer.text

    def sign_in(self, browser: Browser, password: str = PASSWORD) -> tuple[int, str | None]:
        """The status, and the problem."""
        answer = browser.post("/api/auth/login", json={"email": self.address, "password": password})
        return answer.status_code, answer.json().get("code")

    def forgotten(self, browser: Browser) -> str:
        """The token of a link to choose a new password with."""
        before = len(self.site.sandbox.mail(self.address))
        assert browser.post("/api/auth/password/forgot", json={"email": self.address}).status_code == 202
        return token_of(self.wait(before + 1))


def token_of(mail: dict[str, Any]) -> str:
    """What the page of a link finds behind the `#`."""
    (token,) = {link.partition("#token=")[2] for link in mail["links"]} - {""}
    return str(token)


@pytest.fixture(scope="module")
def running_site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    """Two servers over one database."""
    sandbox = keybearer_sandbox_server
    mail = {"SMTP_URL": f"smtp://127.0.0.1:{sandbox.smtp_port}", "MAIL_FROM": "keybearer@example.com"}
    folder: Path = tmp_path_factory.mktemp("site")
    with site_of(folder, module_database, sandbox, processes=2, TRUSTED_PROXIES="127.0.0.1", **mail) as site:
        yield site


@pytest.fixture
def mailed(running_site: Site) -> Mailed:
    """With an address that nobody had before."""
    return Mailed(running_site, f"{uuid4().hex[:12]}@example.com")


@pytest.fixture
def browser(running_site: Site) -> Iterator[Browser]:
    browser = running_site.browser()
    yield browser
    browser.close()


@pytest.fixture
def other(running_site: Site) -> Iterator[Browser]:
    """At the other process."""
    browser = running_site.browser(running_site.running[1].port)
    yield browser
    browser.close()


@pytest.fixture
async def world(tmp_path: Path, database) -> AsyncIterator[World]:
    async with opened(tmp_path, database.url, mail=True, REGISTRATION_REVEALS="false") as made:
        yield made
