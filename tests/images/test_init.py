"""`keybearer init`: secrets that are private, kept once made, and fit each other and the database."""

import os
import stat
import subprocess
from pathlib import Path
from urllib.parse import unquote

import asyncpg
import pytest
import warm
from keybearer.cli import init as command
from keybearer.cli import postgres
from keybearer.keys import keyring, signing


def init(folder: Path, *arguments: str, check: bool = True, **environment: str) -> "subprocess.CompletedProcess[str]":
    return warm.run(["init", *arguments], cwd=folder, env={"PATH": os.environ["PATH"], **environment}, check=check)


def make(folder: Path) -> None:
    """The same without a process of its own."""
    command.write_files(folder / "secrets", folder / ".env", public_url="http://localhost:8080")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_what_it_makes_is_private(tmp_path: Path) -> None:
    make(tmp_path)
    made = list((tmp_path / "secrets").rglob("*"))

    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in [*made, tmp_path / "secrets"] if path.is_dir()} == {0o700}
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_the_images_user_can_read_what_root_makes(tmp_path: Path) -> None:
    make(tmp_path)
    owners = {f"{path.stat().st_uid}:{path.stat().st_gid}" for path in (tmp_path / "secrets").rglob("*")}

    assert owners == {variables(tmp_path / ".env")["RUN_AS"]}
    assert owners != {"0:0"}


def test_it_never_overwrites(tmp_path: Path) -> None:
    first = init(tmp_path, "--public-url", "https://keybearer.test").stdout
    before = contents(tmp_path)
    again = init(tmp_path).stdout

    assert contents(tmp_path) == before
    assert variables(tmp_path / ".env")["PUBLIC_URL"] == "https://keybearer.test"
    assert ("kept" in first, "made" in again) == (False, False)


@pytest.mark.parametrize("lost", ["backend.env", "migrate.env", "postgres.env", "valkey.env", "livekit.env"])
def test_what_was_lost_is_made_again_from_what_is_there(tmp_path: Path, lost: str, capsys) -> None:
    make(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "secrets" / lost).unlink()
    capsys.readouterr()
    make(tmp_path)
    said = capsys.readouterr().out

    assert contents(tmp_path) == before
    assert [Path(line.split(" ", 1)[1]).name for line in said.splitlines() if line.startswith("made")] == [lost]


def test_two_installations_share_nothing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make(tmp_path / name)
    one, two = (contents(tmp_path / name / "secrets") for name in ("one", "two"))

    assert {name for name in one if one[name] == two[name]} == {"keyring/primary", "signing/primary"}


def test_the_keys_load(tmp_path: Path) -> None:
    init(tmp_path, "--folder", "elsewhere", "--environment", "settings")

    assert keyring.load(tmp_path / "elsewhere" / "keyring").primary == "k1"
    assert signing.load(tmp_path / "elsewhere" / "signing").primary == "k1"
    assert (tmp_path / "settings").exists()


async def test_it_prepares_an_empty_server_and_the_schema_comes_in(tmp_path: Path) -> None:
    """As compose.yaml runs it: init --database, migrate, and the application's login gets in with its password."""
    init(tmp_path)
    with postgres.running(tmp_path / "server") as server:
        address = server.dsn("user", "password", "keybearer").partition("@")[2]
        password = unquote(server.superuser_dsn().partition("postgres:")[2].partition("@")[0])
        environment = {
            each: value.replace("postgres/keybearer", address)
            for file in ("backend.env", "migrate.env")
            for each, value in variables(tmp_path / "secrets" / file).items()
        }
        for _ in range(2):
            init(tmp_path, "--database", POSTGRES_PASSWORD=password, **environment)
        warm.run(["migrate"], env=environment, check=True)
        connection = await asyncpg.connect(environment["KEYBEARER_DATABASE_URL"])
        try:
            assert await connection.fetchval("SELECT count(*) FROM keybearer.tenants") == 1
        finally:
            await connection.close()


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "POSTGRES_PASSWORD is not set"),
        ({"POSTGRES_PASSWORD": "x"}, "KEYBEARER_MIGRATION_DATABASE_URL is not set"),
        (
            {
                "POSTGRES_PASSWORD": "x",
                "KEYBEARER_DATABASE_URL": "postgresql://keybearer_app_a:x@db/keybearer",
                "KEYBEARER_MIGRATION_DATABASE_URL": "postgresql://postgres:x@db/keybearer",
            },
            "must name the login keybearer_app_a",
        ),
        (
            {
                "POSTGRES_PASSWORD": "x",
                "KEYBEARER_DATABASE_URL": "postgresql://keybearer_app_a@db/keybearer",
                "KEYBEARER_MIGRATION_DATABASE_URL": "postgresql://keybearer_migrator:x@db/keybearer",
            },
            "must hold the passwords",
        ),
        (
            {
                "POSTGRES_PASSWORD": "x",
                "KEYBEARER_DATABASE_URL": "postgresql://keybearer_app_a:x@127.0.0.1:1/keybearer",
                "KEYBEARER_MIGRATION_DATABASE_URL": "postgresql://keybearer_migrator:x@127.0.0.1:1/keybearer",
            },
            "KEYBEARER_MIGRATION_DATABASE_URL: the database does not answer (ConnectionRefusedError)",
        ),
    ],
)
def test_what_is_missing_for_the_database_is_said(tmp_path: Path, environment: dict[str, str], named: str) -> None:
    done = init(tmp_path, "--database", "--timeout", "0", check=False, **environment)

    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr
