"""docs/settings.md tells of every setting, in the order of the code, and its commands for keyrings work."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from keybearer.keys import keyring, signing
from keybearer.kit import settings
from keybearer.kit.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## ([A-Z_]+)\n(.*?)(?=^#|\Z)", PAGE))
REQUIRED = {
    "PUBLIC_URL": "https://keybearer.example.com",
    "DATABASE_URL": "postgresql://app@db/keybearer",
    "KEYRING_DIR": "/k",
    "SIGNING_KEYRING_DIR": "/s",
}

# What a setting is refused without.
COMPANIONS = {
    "ADMIN_EMAIL": {"ADMIN_PASSWORD_FILE": "/etc/keybearer/admin-password"},
    "ADMIN_PASSWORD_FILE": {"ADMIN_EMAIL": "me@example.com"},
    "ADMIN_PASSWORD_HASH": {"ADMIN_EMAIL": "me@example.com"},
    "LIVEKIT_URL": {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"},
    "SMTP_URL": {"MAIL_FROM": "keybearer@example.com"},
}


def example(name: str) -> str:
    found = re.search(r"Example:\s`([^`]+)`\.", SECTIONS[name])
    assert found, f"{name} has no example"
    return found[1]


def read(given: Mapping[str, str]) -> Settings:
    return settings.read({f"KEYBEARER_{name}": value for name, value in (REQUIRED | dict(given)).items()})


def test_every_setting_is_told_of_in_the_order_of_the_code() -> None:
    assert list(SECTIONS) == [each.name.upper() for each in fields(Settings)]


def test_every_name_on_the_pages_exists() -> None:
    named = {
        name
        for page in (Path(__file__).parents[2] / "docs").rglob("*.md")
        for name in re.findall(r"\bKEYBEARER_([A-Z][A-Z_]+[A-Z])\b", page.read_text(encoding="utf-8"))
    }
    # What `keybearer run` gives a program, what tells the tests where programs are, and what a rotation and an
    # agent's worker alone read.
    others = {"URL", "GRANT", "TEST_CHROMIUM", "TEST_PROMTOOL", "NEW_CREDENTIALS_DIR"}
    others |= {"JOBS_PER_WORKER", "DRAIN_SECONDS", "WORKER_PORT", "METRICS_PORT"}

    assert named - SECTIONS.keys() <= others


@pytest.mark.parametrize("name", [each.name.upper() for each in fields(Settings)])
def test_the_example_is_taken(name: str) -> None:
    value = getattr(read({name: example(name)} | COMPANIONS.get(name, {})), name.lower())

    assert value is not None
    if name not in REQUIRED and isinstance(value, bool):
        assert value is True


@pytest.mark.parametrize("name", [each.name.upper() for each in fields(Settings)])
def test_the_default_is_what_is_written(name: str) -> None:
    text = SECTIONS[name].strip()
    if name in REQUIRED:
        assert text.startswith("Required.")
        with pytest.raises(settings.ConfigurationError, match=f"KEYBEARER_{name} is not set"):
            read({name: ""})
        return
    value = getattr(read({}), name.lower())
    written = re.match(r"Default: `?([^`:;,.]+(?:\.\d+)*)", text)
    if name == "MIGRATION_DATABASE_URL":
        assert value is None
    elif name == "LISTEN_DATABASE_URL":
        assert value == read({}).database_url
    elif written is not None and written[1] == "none":
        assert not value
    else:
        assert written is not None, f"{name} has no default"
        assert written[1] == (str(value).lower() if isinstance(value, bool) else str(value))


def test_the_commands_make_keyrings_that_load(tmp_path: Path) -> None:
    part = PAGE.partition("\n# Keyrings")[2]
    commands = re.findall(r"(?s)```sh\n(.*?)```", part)
    assert len(commands) == 2

    subprocess.run(["sh", "-euc", commands[0]], cwd=tmp_path, check=True, capture_output=True)
    made = keyring.load(tmp_path / "keyring")
    subprocess.run(["sh", "-euc", commands[1]], cwd=tmp_path, check=True, capture_output=True)
    signers = signing.load(tmp_path / "signing")

    assert made.primary in made.keys
    assert (tmp_path / "keyring" / made.primary).stat().st_mode & 0o077 == 0
    assert signers.verify(signers.primary, signers.sign(b"batch"), b"batch")
