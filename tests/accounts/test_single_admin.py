"""An admin from settings: made once, followed when the settings change, and refused where nobody could sign in."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accounts.test_commands import keybearer
from accounts.world import OTHER, PASSWORD, World
from installation import Installation, installed
from keybearer.bootstrap import single_admin
from keybearer.kit import settings
from keybearer.kit.errors import ConfigurationError
from keybearer.kit.settings import Settings

EMAIL = "me@example.com"
REQUIRED = {
    "PUBLIC_URL": "http://localhost:8080",
    "DATABASE_URL": "postgresql://a:b@localhost/c",
    "KEYRING_DIR": "/nowhere",
    "SIGNING_KEYRING_DIR": "/nowhere",
}


def read(**given: str) -> Settings:
    return settings.read({f"KEYBEARER_{name}": value for name, value in (REQUIRED | given).items()})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ADMIN_EMAIL": EMAIL}, "goes with one of"),
        ({"ADMIN_EMAIL": EMAIL, "ADMIN_PASSWORD_FILE": "/a", "ADMIN_PASSWORD_HASH": "b"}, "goes with one of"),
        ({"ADMIN_PASSWORD_FILE": "/a"}, "KEYBEARER_ADMIN_EMAIL is not set"),
    ],
)
def test_what_does_not_go_together_is_said(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read(**given)


def test_registration_is_closed_unless_said_otherwise() -> None:
    one = {"ADMIN_EMAIL": EMAIL, "ADMIN_PASSWORD_FILE": "/a"}
    assert read(**one).registration == "closed"
    assert read(**one, REGISTRATION="invite").registration == "invite"
    assert read().registration == "open"


async def configure(world: World, tmp_path: Path, password: str) -> None:
    file = tmp_path / "admin-password"
    file.write_text(f"{password}\n")
    given = replace(read(), admin_email=EMAIL, admin_password_file=file)
    await single_admin.configure(given, world.people, world.tenant)


async def test_the_account_follows_the_settings(world: World, tmp_path: Path) -> None:
    await configure(world, tmp_path, PASSWORD)
    entered = await world.sign_in(EMAIL, PASSWORD)
    assert entered.user.role == "admin"
    await configure(world, tmp_path, PASSWORD)
    sessions = world.services.sessions
    assert await sessions.find_principal(entered.session.token), "a second start ends no session"
    await configure(world, tmp_path, OTHER)
    assert await sessions.find_principal(entered.session.token) is None
    assert (await world.sign_in(EMAIL, OTHER)).user.role == "admin"
    done = [action for action, _, _ in await world.ledger() if action == "account.configured"]
    assert len(done) == 2


async def test_of_processes_that_start_at_once_one_makes_the_account(world: World, tmp_path: Path) -> None:
    await asyncio.gather(*(configure(world, tmp_path, PASSWORD) for _ in range(4)))
    assert [each.email for each in await world.people.operating.people(world.tenant, 10)] == [EMAIL]
    assert (await world.sign_in(EMAIL, PASSWORD)).user.role == "admin"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"admin_password_hash": "$argon2id$v=19$m=65536,t"}, "no Argon2id hash"),
    ({"admin_password_hash": "$2b$04$" + "a" * 53}, "no Argon2id hash"),
    ({"admin_password_file": Path("/nowhere/at/all")}, "cannot be read"),
    ({"admin_password_file": "short"}, "too_short"),
]


@pytest.mark.parametrize(
    ("given", "said"), REFUSED, ids=[said for _, said in REFUSED[:1]] + ["bcrypt", "none", "short"]
)
async def test_an_admin_who_could_not_sign_in_is_refused(
    world: World, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    if given.get("admin_password_file") == "short":
        (tmp_path / "short").write_text("short")
        given = {"admin_password_file": tmp_path / "short"}
    with pytest.raises(ConfigurationError, match=said):
        await single_admin.configure(replace(read(), admin_email=EMAIL, **given), world.people, world.tenant)


@pytest.fixture
def site(tmp_path: Path, database, keybearer_sandbox_server) -> Iterator[Installation]:
    urls = (database.url, database.owner_url)
    with installed(tmp_path / "site", *urls, keybearer_sandbox_server) as site:
        yield site


def test_with_a_hash_the_admin_signs_in_and_nobody_registers(site: Installation) -> None:
    encoded = keybearer(site, "admin", "hash", EMAIL, given=PASSWORD).stdout.strip()
    assert encoded.startswith("$argon2id$")
    site.extra |= {"ADMIN_EMAIL": EMAIL, "ADMIN_PASSWORD_HASH": encoded}
    site.start()
    browser = site.browser()
    signed_in = browser.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert signed_in.json()["user"]["roles"] == ["admin"], signed_in.text
    who = {"email": "x@example.com", "password": OTHER, "full_name": "X"}
    assert browser.post("/api/auth/register", json=who).json()["code"] == "registration_closed"
