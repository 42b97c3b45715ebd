"""`keybearer init --database`: logins that work, in no place a password, and patience with a server that starts."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
import warm
from keybearer.cli import postgres
from keybearer.cli.postgres_folder import PORT

ODD = "p:/?#@ %$\\'\"ü"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """Its own, because roles and their passwords are the whole server's."""
    settings = {"fsync": "off", "log_statement": "all"}
    with tempfile.TemporaryDirectory(prefix="kb-") as folder, postgres.running(Path(folder), settings=settings) as made:
        yield made


def environment(server: postgres.Server, database: str, **changes: str) -> dict[str, str]:
    where = f"/{database}?host={server.socket_folder}&port={PORT}"
    return {
        "POSTGRES_PASSWORD": server.superuser_dsn().partition("postgres:")[2].partition("@")[0],
        "KEYBEARER_DATABASE_URL": f"postgresql://keybearer_app_a:{quote(ODD, safe='')}@{where}",
        "KEYBEARER_MIGRATION_DATABASE_URL": f"postgresql://keybearer_migrator:of-the-migrator@{where}",
        **changes,
    }


def prepare(given: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    done = warm.run(["init", "--database", *arguments], env=warm.environment(**given))
    assert "Traceback" not in done.stderr
    return done


def started(given: dict[str, str]) -> warm.Process:
    return warm.start(["init", "--database"], env=warm.environment(**given), stdout=warm.PIPE, stderr=warm.PIPE)


async def ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_every_login_gets_in_with_its_password(server: postgres.Server) -> None:
    given = environment(server, "one")
    for _ in range(2):
        assert prepare(given, "--exporter").stdout == "The roles, their passwords and the database are there.\n"

    assert await ask(given["KEYBEARER_DATABASE_URL"], "SELECT current_user") == "keybearer_app_a"
    assert await ask(given["KEYBEARER_MIGRATION_DATABASE_URL"], "SELECT current_user") == "keybearer_migrator"
    exporter = "SELECT pg_has_role('keybearer_exporter', '{}', '{}')"
    assert await ask(server.superuser_dsn(), exporter.format("pg_monitor", "USAGE")) is True
    assert await ask(server.superuser_dsn(), exporter.format("keybearer_app", "MEMBER")) is False
    has_password = "SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = 'keybearer_exporter'"
    assert await ask(server.superuser_dsn(), has_password) is False


async def test_passwords_reach_neither_the_servers_log_nor_its_statistics(server: postgres.Server) -> None:
    prepare(environment(server, "two"))
    log = server.log.read_text()

    assert "ALTER ROLE" in log
    assert not [each for each in ("of-the-migrator", ODD) if f"'{each}'" in log]


async def test_unless_asked_for_there_is_no_exporters_login(server: postgres.Server) -> None:
    await ask(server.superuser_dsn(), "DROP ROLE IF EXISTS keybearer_exporter")
    prepare(environment(server, "three"))

    roles = "SELECT count(*) FROM pg_roles WHERE rolname = 'keybearer_exporter'"
    assert await ask(server.superuser_dsn(), roles) == 0


async def test_the_login_that_the_files_name_is_set(server: postgres.Server, tmp_path: Path) -> None:
    """After a rotation it is the other one."""
    (tmp_path / "username").write_text("keybearer_app_b")
    (tmp_path / "password").write_text("of-the-files")
    given = environment(server, "four", KEYBEARER_DATABASE_CREDENTIALS_DIR=str(tmp_path))
    prepare(given)

    assert await ask(server.dsn("keybearer_app_b", "of-the-files", "four"), "SELECT 1") == 1


def test_a_superusers_password_that_is_wrong_is_not_waited_for(server: postgres.Server) -> None:
    done = prepare(environment(server, "five", POSTGRES_PASSWORD="planted"))

    assert (done.returncode, done.stdout) == (1, "")
    assert "does not let `postgres` in" in done.stderr
    assert "planted" not in done.stderr


def test_a_server_that_starts_later_is_waited_for(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kb-") as folder:
        with postgres.running(Path(folder), settings={"fsync": "off"}) as server:
            given = environment(server, "keybearer")
        with started(given) as waiting:
            assert waiting.stdout is not None
            first = waiting.stdout.readline()
            with postgres.running(Path(folder), settings={"fsync": "off"}):
                printed, complained = waiting.communicate(timeout=60)

    assert first == "waiting: KEYBEARER_MIGRATION_DATABASE_URL: the database does not answer (FileNotFoundError).\n"
    assert printed.splitlines()[-1] == "The roles, their passwords and the database are there.", complained
