import contextlib
import stat
import threading
from pathlib import Path

import asyncpg
import psutil
import pytest
from keybearer.cli import postgres
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def test_data_is_kept_over_a_restart(data: Path) -> None:
    with postgres.running(data) as server:
        await _execute(server.superuser_dsn(), "create table songs (name text)")
        await _execute(server.superuser_dsn(), "insert into songs values ('Despacito')")
    with postgres.running(data) as server:
        assert await _value(server.superuser_dsn(), "select name from songs") == "Despacito"


async def test_sqlalchemy_takes_the_same_url(data: Path) -> None:
    with postgres.running(data) as server:
        await _execute(server.superuser_dsn(), "create role \"o'brien@example\" login password 'p:/?#@ %'")
        url = server.dsn("o'brien@example", "p:/?#@ %", "postgres")
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as connection:
            assert (await connection.execute(text("select current_user"))).scalar_one() == "o'brien@example"
        await engine.dispose()
        assert await _value(url, "select current_user") == "o'brien@example"


@pytest.mark.parametrize("user", [postgres.SUPERUSER, "nobody"])
async def test_a_wrong_password_is_refused(data: Path, user: str) -> None:
    with postgres.running(data) as server, pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.dsn(user, "wrong", "postgres"))


async def test_the_cluster_is_made_as_the_design_says(fresh: Path) -> None:
    with postgres.running(fresh) as server:
        dsn = server.superuser_dsn()
        assert await _value(dsn, "show data_checksums") == "on"
        assert await _value(dsn, "show server_encoding") == "UTF8"
        assert await _value(dsn, "show fsync") == "on"
        assert await _value(dsn, "show timezone") == "UTC"
        methods = await _value(dsn, "select array_agg(distinct auth_method) from pg_hba_file_rules")
        assert methods == ["scram-sha-256"]


async def test_settings_are_passed_on(data: Path) -> None:
    with postgres.running(data, settings={"fsync": "off", "max_connections": "17"}) as server:
        assert await _value(server.superuser_dsn(), "show max_connections") == "17"
        assert await _value(server.superuser_dsn(), "show fsync") == "off"


def test_only_its_owner_can_reach_anything(data: Path) -> None:
    with postgres.running(data) as server:
        assert _open_to_others(data) == []
        assert _mode(server.socket_folder) == 0o700
        assert _mode(data / "postgres" / "superuser-password") == 0o600
        assert psutil.Process(server.pid).net_connections("inet") == []


def test_folder_permissions_that_were_widened_are_narrowed(fresh: Path) -> None:
    (fresh / "postgres").mkdir(parents=True)
    (fresh / "postgres").chmod(0o755)
    with postgres.running(fresh):
        assert _mode(fresh / "postgres") == 0o700


async def test_a_data_folder_with_a_long_path_gets_a_short_socket(fresh: Path) -> None:
    long = fresh / ("x" * 60) / ("y" * 60)
    with postgres.running(long) as server:
        assert len(bytes(server.socket_folder)) < 80
        assert _mode(server.socket_folder) == 0o700
        assert (long / "postgres" / "socket-folder").read_text().strip() == str(server.socket_folder)
        assert await _value(server.superuser_dsn(), "select 1") == 1
    assert not server.socket_folder.exists()
    assert not (long / "postgres" / "socket-folder").exists()


async def test_a_failing_statement_leaves_no_secret_in_the_log(data: Path) -> None:
    with postgres.running(data) as server:
        with pytest.raises(asyncpg.PostgresError):
            await _execute(server.superuser_dsn(), "alter role missing password 'planted-secret'")
        await _execute(server.superuser_dsn(), "create table people (email text primary key)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await _execute(server.superuser_dsn(), "insert into people values ('planted'), ('planted')")
    log = server.log.read_text()
    assert "ERROR" in log
    assert "planted" not in log


def test_nothing_is_left_when_the_block_ends_or_fails(data: Path) -> None:
    with contextlib.suppress(LookupError), postgres.running(data) as server:
        assert server.is_running()
        raise LookupError
    assert not server.is_running()
    assert not psutil.pid_exists(server.pid)
    assert not server.socket_folder.exists()
    assert not (data / "postgres" / "cluster" / "postmaster.pid").exists()


def test_a_thread_may_not_start_it(fresh: Path) -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            with postgres.running(fresh):
                pass
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])
    assert not fresh.exists()


def test_first_use_reports_progress(fresh: Path) -> None:
    told: list[str] = []
    with postgres.running(fresh, progress=told.append):
        pass
    assert told[0] == "Creating the database"


async def test_the_session_server_serves(postgres_server: postgres.Server) -> None:
    assert await _value(postgres_server.superuser_dsn(), "show fsync") == "off"


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _open_to_others(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.rglob("*")) if _mode(path) & 0o077]
