"""`keybearer migrate --wait`: what a pod does before the server starts, here with a database that appears later."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import asyncpg
import pytest
import warm
from keybearer.cli import postgres
from keybearer.migrations import cluster, runner

FOLDER = "KEYBEARER_DATABASE_CREDENTIALS_DIR"


def waiting(url: str | None, *arguments: str, **more: str) -> AbstractContextManager[warm.Process]:
    given = {} if url is None else {"KEYBEARER_DATABASE_URL": url}
    return running("--wait", *arguments, **given, **more)


def migrating(url: str) -> AbstractContextManager[warm.Process]:
    return running(KEYBEARER_MIGRATION_DATABASE_URL=url)


@contextmanager
def running(*arguments: str, **given: str) -> Iterator[warm.Process]:
    process = warm.start(["migrate", *arguments], env=warm.environment(**given), stdout=warm.PIPE, stderr=warm.PIPE)
    with process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: warm.Process) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out.splitlines(), err


def line(process: warm.Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def after_starting(process: warm.Process) -> str:
    """A server that starts refuses in several ways."""
    while "does not answer" in (said := line(process)):
        pass
    return said


@pytest.fixture
def short() -> Iterator[Path]:
    """So short that the server's socket is in it, and its URL known before it runs."""
    with tempfile.TemporaryDirectory(prefix="kb-") as folder:
        yield Path(folder)


def login(folder: Path, password: str = "app") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "username").write_text(cluster.APP_LOGIN)
    (folder / "password").write_text(password)
    return folder


def test_it_waits_for_each_step_and_says_for_which(short: Path) -> None:
    url = f"postgresql:///keybearer?host={short}/postgres/socket"
    with waiting(url, **{FOLDER: str(short / "login")}) as process:
        assert line(process).startswith(f"waiting: {FOLDER}: {short}/login/username cannot be read")
        login(short / "login")
        assert line(process) == "waiting: KEYBEARER_DATABASE_URL: the database does not answer (FileNotFoundError)."
        with postgres.running(short, settings={"fsync": "off"}) as server:
            refused = "waiting: KEYBEARER_DATABASE_URL: the database does not let us in (InvalidPasswordError)."
            assert after_starting(process) == refused
            owner = server.dsn(cluster.MIGRATION_LOGIN, "migrator", "keybearer")
            asyncio.run(
                cluster.prepare(
                    server.superuser_dsn(), database="keybearer", app_password="app", migration_password="migrator"
                )
            )
            lines = [line(process)]
            if "there is no database of that name" in lines[0]:
                lines.append(line(process))
            assert lines[-1] == f"waiting: The database is at schema none, this version needs {runner.head()}."
            asyncio.run(runner.migrate(owner))
            assert ended(process) == (0, [f"The database is at schema {runner.head()}."], "")


def test_a_schema_that_is_there_is_not_waited_for(database) -> None:
    began = time.monotonic()
    with waiting(database.url) as process:
        assert ended(process) == (0, [f"The database is at schema {runner.head()}."], "")
    assert time.monotonic() - began < 10


def test_the_files_count_and_not_the_login_in_the_url(database, tmp_path: Path) -> None:
    url = database.url.replace(":app@", ":wrong@")
    with waiting(url, **{FOLDER: str(login(tmp_path / "login"))}) as process:
        assert ended(process)[0] == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            lambda url: url.replace(":app@", ":planted@"),
            "the database does not let us in (InvalidPasswordError). Check the login and the password.",
        ),
        (lambda url: "postgresql://a:planted@127.0.0.1:1/b", "the database does not answer (ConnectionRefusedError)."),
        (lambda url: "postgresql://a:planted@nowhere.invalid/b", "no host of that name is known."),
    ],
)
def test_in_the_end_it_says_what_to_do(database, wrong, says: str) -> None:
    with waiting(wrong(database.url), "--timeout", "1") as process:
        status, lines, error = ended(process)

    assert status == 1
    assert len(lines) == 1, "the reason does not change"
    assert error.startswith("keybearer: Waited 1 seconds in vain. ")
    assert says in error
    assert "planted" not in error + lines[0]


async def test_an_older_schema(database) -> None:
    await at_schema(database, "0000")
    with waiting(database.url, "--timeout", "0") as process:
        status, _, error = ended(process)

    assert status == 1
    assert f"is at schema 0000, this version needs {runner.head()}. Run `keybearer migrate`." in error


@pytest.mark.parametrize(
    ("url", "arguments", "says"),
    [
        (None, [], "KEYBEARER_DATABASE_URL is not set"),
        ("mysql://a:planted@b/c", [], "must look like postgresql://"),
        ("postgresql://a:planted@b:port/c", [], "is not a URL that can be read"),
        ("postgresql://a:planted@127.0.0.1:1/c?sslmode=full", [], "`sslmode` parameter must be one of"),
        ("postgresql://a:b@127.0.0.1:1/c", ["--roles"], "--wait goes without"),
        ("postgresql://a:b@127.0.0.1:1/c", ["--dry-run"], "--wait goes without"),
    ],
)
def test_what_no_waiting_mends_is_said_at_once(url: str | None, arguments: list[str], says: str) -> None:
    with waiting(url, *arguments) as process:
        status, lines, error = ended(process)

    assert (status != 0, lines) == (True, [])
    assert says in error
    assert "planted" not in error


def test_a_pod_that_is_deleted_ends_at_once() -> None:
    """As the first process of a container, which the kernel spares unless it asks for the signal."""
    with waiting("postgresql://a:b@127.0.0.1:1/c") as process:
        line(process)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        status, lines, error = ended(process)

    assert (status, lines, error) == (143, [], "")
    assert time.monotonic() - began < 5


async def test_so_does_a_migration_that_waits_for_another(database) -> None:
    other = await asyncpg.connect(database.owner_url)
    await other.execute(f"SELECT pg_advisory_lock({runner._LOCK})")
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with migrating(database.owner_url) as process:
        while not await other.fetchval(waits):  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (143, [], "")
    await other.close()


async def at_schema(database, revision: str) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("UPDATE keybearer.alembic_version SET version_num = $1", revision)
    await connection.close()
