"""A person hears of a sign-in from where they were not before, and of no other."""

import time
from collections.abc import Iterator

import pytest
from installation import Installation, installed, log_lines
from keybearer.sessions.devices import block_of
from signin.site import Sql

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NEWER_FIREFOX = FIREFOX.replace("140", "141")
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1"


@pytest.fixture
def site(tmp_path, database, sandbox) -> Iterator[Installation]:
    mail = {"SMTP_URL": f"smtp://127.0.0.1:{sandbox.smtp_port}", "MAIL_FROM": "keybearer@example.com"}
    with installed(tmp_path, database.url, database.owner_url, sandbox, TRUSTED_PROXIES="127.0.0.1", **mail) as made:
        made.start()
        yield made


def come(site: Installation, user_agent: str, address: str, account: str = "alice@example.com") -> None:
    browser = site.browser()
    browser.client.headers |= {"user-agent": user_agent, "x-forwarded-for": address}
    site.sign_in(browser, account)


def mails(site: Installation, count: int, to: str = "alice@example.com") -> list[dict[str, str]]:
    deadline = time.monotonic() + 15
    while len(found := site.sandbox.mail(to)) < count:
        assert time.monotonic() < deadline, f"{len(found)} mails, and not {count}"
        time.sleep(0.05)
    return found


def test_only_what_is_new_is_told(site: Installation, database) -> None:
    come(site, FIREFOX, "203.0.113.9")
    come(site, NEWER_FIREFOX, "203.0.113.77")
    come(site, SAFARI, "203.0.113.9")
    (mail,) = mails(site, 1)
    assert mail["subject"] == "New sign-in to Keybearer"
    assert "Safari on iPhone" in mail["text"]
    assert "203.0.113.9" in mail["text"]
    not_me, account = mail["links"]
    assert not_me.startswith(f"{site.url}/not-me#token=kbm_")
    assert account == f"{site.url}/account"

    come(site, SAFARI, "198.51.100.1")
    come(site, SAFARI, "198.51.100.2")
    come(site, FIREFOX, "203.0.113.9", "bob@example.com")
    assert "198.51.100.1" in mails(site, 2)[0]["text"]
    sql = Sql(database.superuser_url)
    deadline = time.monotonic() + 10
    while sql.one("SELECT count(*) FROM mails"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(mails(site, 2)) == 2
    assert not site.sandbox.mail("bob@example.com")
    assert sql.one("SELECT count(*) FROM devices") == 4
    assert "alice@example.com" not in "".join(map(str, log_lines(site.log)))


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        (None, "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_blocks_of_addresses(address: str | None, block: str) -> None:
    assert block_of(address) == block
