"""What a data folder survives: kill -9 of the server, of whoever started it, and half-made files."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from keybearer.cli import postgres


async def test_acknowledged_work_survives_kill_9_of_the_server(data: Path) -> None:
    with postgres.running(data) as server:
        await _keep(server.superuser_dsn(), "Despacito")
        family = _family(server.pid)
        os.kill(server.pid, signal.SIGKILL)
        psutil.wait_procs(family, timeout=30)
        assert not server.is_running()
    with postgres.running(data) as server:
        assert await _kept(server.superuser_dsn()) == ["Despacito"]
        assert "was not properly shut down; automatic recovery" in server.log.read_text()


async def test_the_server_ends_when_its_parent_is_killed(data: Path, program: Callable[[], Any]) -> None:
    running = program()
    await _keep(running.dsn, "Despacito")
    family = _family(running.server_pid)
    running.process.kill()
    _, left = psutil.wait_procs(family, timeout=30)
    assert left == []
    assert "received fast shutdown request" in (data / "postgres" / "server.log").read_text()
    with postgres.running(data) as server:
        assert await _kept(server.superuser_dsn()) == ["Despacito"]


async def test_a_start_waits_for_an_orphan(data: Path, program: Callable[[], Any]) -> None:
    running = program()
    await _keep(running.dsn, "Despacito")
    checkpointer = _checkpointer(running.server_pid)
    checkpointer.suspend()  # without it the shutdown cannot end
    running.process.kill()
    running.process.wait()
    told: list[str] = []

    def release(message: str) -> None:
        told.append(message)
        checkpointer.resume()

    with postgres.running(data, progress=release) as server:
        assert await _kept(server.superuser_dsn()) == ["Despacito"]
    assert told[0] == "Waiting for the previous database server to finish"
    assert "was not properly shut down" not in server.log.read_text()


def test_a_second_start_names_the_process_that_holds_the_data(data: Path, program: Callable[[], Any]) -> None:
    running = program()
    with (
        pytest.raises(postgres.PostgresError, match=f"in use by process {running.process.pid}"),
        postgres.running(data),
    ):
        pass
    assert psutil.Process(running.server_pid).is_running()


def test_a_second_start_in_the_same_process_is_refused_too(data: Path) -> None:
    with postgres.running(data) as server:
        with (
            pytest.raises(postgres.PostgresError, match=f"in use by process {os.getpid()}"),
            postgres.running(data),
        ):
            pass
        assert server.is_running()


def test_ctrl_c_reaches_us_first_and_then_stops_the_server(program: Callable[[], Any]) -> None:
    running = program()
    family = _family(running.server_pid)
    os.killpg(running.process.pid, signal.SIGINT)
    answer, _ = running.process.communicate(timeout=30)
    assert answer == "answer 1\n"
    assert running.process.returncode == 0
    assert [process for process in family if process.is_running()] == []


async def test_a_process_number_used_again_does_not_block_the_start(data: Path) -> None:
    with postgres.running(data):
        pass
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            crashed = f"{stranger.pid}\n{data}/postgres/cluster\n1\n5432\n\n\n0 0\nready\n"
            (data / "postgres" / "cluster" / "postmaster.pid").write_text(crashed)
            with postgres.running(data) as server:
                assert await _value(server.superuser_dsn(), "select 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_socket_folder_left_by_a_crash_is_removed(data: Path, tmp_path: Path) -> None:
    left = tmp_path / "keybearer-left"
    left.mkdir()
    (left / ".s.PGSQL.5432").touch()
    (data / "postgres" / "socket-folder").write_text(f"{left}\n")
    with postgres.running(data):
        assert not left.exists()


async def test_a_first_start_that_was_cut_short_is_done_again(fresh: Path) -> None:
    unfinished = fresh / "postgres" / "cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    (fresh / "postgres" / "superuser-password").write_text("of the start that failed\n")
    with postgres.running(fresh) as server:
        assert await _value(server.superuser_dsn(), "select 1") == 1
    assert not unfinished.exists()


def test_a_missing_password_file_is_named(data: Path) -> None:
    with postgres.running(data):
        pass
    (data / "postgres" / "superuser-password").unlink()
    with pytest.raises(postgres.PostgresError, match="superuser-password is missing"), postgres.running(data):
        pass


def test_a_server_that_cannot_start_fails_with_its_own_words(data: Path) -> None:
    with (
        pytest.raises(postgres.PostgresError, match='invalid value for parameter "shared_buffers"'),
        postgres.running(data, settings={"shared_buffers": "plenty"}),
    ):
        pass
    with postgres.running(data) as server:
        assert server.is_running()


def test_a_database_that_cannot_be_made_fails_with_the_reason(fresh: Path) -> None:
    (fresh / "postgres").mkdir(parents=True)
    (fresh / "postgres" / "cluster.unfinished").write_text("a file where a folder belongs")
    with pytest.raises(postgres.PostgresError, match="could not be created"), postgres.running(fresh):
        pass


def _family(pid: int) -> list[psutil.Process]:
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


def _checkpointer(pid: int) -> psutil.Process:
    children = psutil.Process(pid).children()
    return next(child for child in children if "checkpointer" in " ".join(child.cmdline()))


async def _keep(dsn: str, song: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("create table songs (name text)")
        await connection.execute("insert into songs values ($1)", song)
    finally:
        await connection.close()


async def _kept(dsn: str) -> object:
    return await _value(dsn, "select array_agg(name) from songs")


async def _value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
