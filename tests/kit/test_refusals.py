"""A process that could not keep its promises does not start: exit 1, and a sentence that names what to change (D7)."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
import warm
from installation import Installation
from keybearer.bootstrap import guard
from keybearer.kit import settings
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError

GOOD = {
    "KEYBEARER_PUBLIC_URL": "https://kb.example.com",
    "KEYBEARER_DATABASE_URL": "postgresql://u:p@localhost/x",
    "KEYBEARER_KEYRING_DIR": "/keys",
    "KEYBEARER_SIGNING_KEYRING_DIR": "/signing",
}


def test_the_least_that_is_needed() -> None:
    found = settings.read(GOOD)
    assert found.secure
    assert (found.port, found.internal_port, found.database_pool_size) == (8080, 9090, 8)
    assert found.listen_database_url == found.database_url
    assert "u:p" not in repr(found)


@pytest.mark.parametrize("missing", GOOD)
@pytest.mark.parametrize("blank", [False, True])
def test_what_is_missing_is_named(missing: str, blank: bool) -> None:
    rest = {name: value for name, value in GOOD.items() if name != missing} | ({missing: "  "} if blank else {})
    with pytest.raises(ConfigurationError, match=missing):
        settings.read(rest)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "http://kb.example.com"),
        ("PUBLIC_URL", "kb.example.com"),
        ("PUBLIC_URL", "ftp://kb.example.com"),
        ("PUBLIC_URL", "https://kb.example.com/path"),
        ("PUBLIC_URL", "https://kb.example.com?x=1"),
        ("PUBLIC_URL", "https://user:secret@kb.example.com"),
        ("PUBLIC_URL", "https://kb.example.com:port"),
        ("PUBLIC_URL", "https://kb.example.com/#x"),
        ("PUBLIC_URL", "https://"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "http://app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://ok.example.com, *"),
        ("CORS_ORIGINS", "https://user@app.example.com"),
        ("CORS_ORIGINS", "file://localhost"),
        ("CORS_ORIGINS", "https://App.example.com"),
        ("CORS_ORIGINS", "https://app.example.com:443"),
        ("TRUSTED_PROXIES", "proxy.internal"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "x"),
        ("DATABASE_POOL_SIZE", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LOG_SQL", "maybe"),
    ],
)
def test_an_unsafe_setting_is_refused_and_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"KEYBEARER_{name}") as refused:
        settings.read(GOOD | {f"KEYBEARER_{name}": value})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:8080", "https://a.b:8443"]
)
def test_plain_http_is_for_this_machine(value: str) -> None:
    assert settings.read(GOOD | {"KEYBEARER_PUBLIC_URL": value}).public_url == value


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ("https://KB.Example.com", "https://kb.example.com"),
        ("https://kb.example.com:443/", "https://kb.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_the_public_url_is_what_browsers_send_as_origin(value: str, origin: str) -> None:
    """Written otherwise, every change from our own pages would be taken for another site's."""
    assert settings.read(GOOD | {"KEYBEARER_PUBLIC_URL": value}).public_url == origin


@pytest.fixture
def installation(tmp_path: Path, database, sandbox) -> Installation:
    return Installation(tmp_path / "installation", database.url, database.owner_url, sandbox)


def refused(installation: Installation, **changes: str) -> str:
    """`keybearer serve` ends by itself; what it says."""
    environment = installation.environment() | {f"KEYBEARER_{name}": value for name, value in changes.items()}
    done = warm.run(["serve"], env=environment)
    assert done.returncode == 1, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("keybearer: ")]
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return said[0]


def no_key(folder: Path) -> None:
    (folder / "keyring" / "k1").unlink()


def short_key(folder: Path) -> None:
    (folder / "keyring" / "k1").write_text(base64.b64encode(os.urandom(16)).decode())


def default_key(folder: Path) -> None:
    (folder / "keyring" / "k1").write_text(base64.b64encode(b"\0" * 32).decode())


def no_signing_key(folder: Path) -> None:
    (folder / "signing" / "primary").write_text("other")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (no_key, "KEYBEARER_KEYRING_DIR"),
        (short_key, "KEYBEARER_KEYRING_DIR"),
        (default_key, "KEYBEARER_KEYRING_DIR"),
        (no_signing_key, "KEYBEARER_SIGNING_KEYRING_DIR"),
    ],
)
def test_a_keyring_that_cannot_be_used(installation: Installation, damage: Callable[[Path], None], named: str) -> None:
    damage(installation.folder)
    assert named in refused(installation)


def test_a_login_that_could_see_all_tenants(installation: Installation, database) -> None:
    said = refused(installation, DATABASE_URL=database.superuser_url)
    assert "KEYBEARER_DATABASE_URL" in said
    assert "superuser" in said


@pytest.mark.parametrize("which", ["owner", "superuser", "bypassrls", "member"])
async def test_every_login_that_row_level_security_would_not_hold(database, which: str) -> None:
    """Asked of the check itself, since a process each takes seconds."""
    url = {"owner": database.owner_url, "superuser": database.superuser_url}.get(which)
    role = f"probe_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(database.superuser_url)
    try:
        if url is None:
            given = "BYPASSRLS" if which == "bypassrls" else "IN ROLE keybearer_owner"
            await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p' {given}")
            await admin.execute(f"GRANT keybearer_app TO {role}")
            url = database.url.replace("keybearer_app_a:app", f"{role}:p")
            assert role in url
        db = Database(url)
        with pytest.raises(ConfigurationError, match="KEYBEARER_DATABASE_URL"):
            await guard.check_database(db)
        await db.close()
    finally:
        if url and role in url:
            await admin.execute(f"DROP ROLE {role}")
        await admin.close()


async def test_a_schema_of_another_version(database) -> None:
    admin = await asyncpg.connect(database.superuser_url)
    await admin.execute("UPDATE keybearer.alembic_version SET version_num = '0000'")
    await admin.close()
    db = Database(database.url)
    with pytest.raises(ConfigurationError, match="keybearer migrate"):
        await guard.check_database(db)
    await db.close()


async def test_a_database_that_is_not_there() -> None:
    url = "postgresql://u:p@127.0.0.1:1/x"
    db = Database(url)
    with pytest.raises(ConfigurationError, match="KEYBEARER_DATABASE_URL") as refused:
        await guard.check_database(db)
    assert "u:p" not in str(refused.value)
    await db.close()
