"""`keybearer serve --workers 2`: two processes on one public port, and a parent that answers for both of them."""

import asyncio
import base64
import hashlib
import importlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx2
import psutil
import pytest
from installation import NO_CERTIFICATES, Installation, Process, installed
from prometheus_client import REGISTRY, Gauge
from prometheus_client.parser import text_string_to_metric_families

COMMAND = [sys.executable, "-m", "keybearer", "serve", "--workers", "2"]
WAIT_SECONDS = 20


@pytest.fixture(scope="module")
def running(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[tuple[Installation, Process]]:
    keybearer_sandbox_server.reset()
    folder, database = tmp_path_factory.mktemp("workers"), module_database
    with installed(folder, database.url, database.owner_url, keybearer_sandbox_server) as made:
        yield made, made.start(launcher=COMMAND)


@pytest.fixture
def server(running) -> Installation:
    return running[0]


@pytest.fixture
def parent(running) -> Process:
    return running[1]


@pytest.fixture
def short(tmp_path: Path, database, keybearer_sandbox_server, monkeypatch) -> Iterator[Installation]:
    """For a test that ends the server; its temporary folders are looked at."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with installed(tmp_path, database.url, database.owner_url, keybearer_sandbox_server) as made:
        made.start(launcher=COMMAND)
        yield made


def workers_of(parent: Process) -> list[psutil.Process]:
    return [child for child in psutil.Process(parent.popen.pid).children() if child.is_running()]


@contextmanager
def only(one: psutil.Process, parent: Process) -> Iterator[None]:
    """The other workers stand still, so that this one answers."""
    others = [worker for worker in workers_of(parent) if worker != one]
    for other in others:
        other.suspend()
    try:
        yield
    finally:
        for other in others:
            other.resume()


def until(holds: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def status(server: Installation, path: str = "/api/health", cookie: str | None = None) -> int:
    """Over a connection of its own, so that any worker may take it."""
    headers = {"cookie": f"keybearer_session={cookie}"} if cookie else {}
    return httpx2.get(
        server.url + path, headers=headers, trust_env=False, timeout=10, verify=NO_CERTIFICATES
    ).status_code


def samples(parent: Process) -> dict[str, float]:
    """Every sample by name and labels."""
    text = parent.internal("/metrics").text
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(found: dict[str, float], name: str, *labels: str) -> float:
    return sum(
        value for key, value in found.items() if key.startswith(f"{name}[") and all(label in key for label in labels)
    )


HEALTH = ("keybearer_http_requests_total", "'/api/health'", "'200'")
TIMED = ("keybearer_http_request_duration_seconds_count", "'/api/health'", "'200'")


def test_each_worker_answers_and_the_parent_counts_for_all(server: Installation, parent: Process) -> None:
    before = samples(parent)
    workers = workers_of(parent)
    assert len(workers) == 2
    for worker in workers:
        with only(worker, parent):
            assert [status(server) for _ in range(5)] == [200] * 5
    # A request is counted just after its answer left, and its time after that.
    until(lambda: total(samples(parent), *TIMED) - total(before, *TIMED) == 10, "not all were timed")
    after = samples(parent)
    assert total(after, *HEALTH) - total(before, *HEALTH) == 10


@pytest.mark.long
def test_figures_are_of_the_installation_and_not_of_a_process(server: Installation, parent: Process) -> None:
    browser = server.browser()
    server.sign_in(browser)
    asyncio.run(end_leases(server))
    gauges = ("keybearer_sessions_active", "keybearer_ledger_unsealed", "keybearer_user_keys")
    until(lambda: all(any(key.startswith(g + "[") for key in samples(parent)) for g in gauges), "no gauges", 60)
    found = samples(parent)
    assert not [key for key in found if "'pid'" in key]
    assert len([key for key in found if key.startswith("keybearer_sessions_active[")]) == 1
    browser.close()


async def end_leases(server: Installation) -> None:
    """Another test may have killed the worker that counted, and its lease would last for three rounds of counting."""
    connection = await asyncpg.connect(server.owner_url)
    await connection.execute("UPDATE keybearer.leases SET until = '-infinity'")
    await connection.close()


def test_every_gauge_says_how_processes_are_put_together(server: Installation, parent: Process) -> None:
    """A killed process must not be counted on, which the `live` modes alone see to."""
    importlib.import_module("keybearer.bootstrap.services")
    collectors = set(REGISTRY._collector_to_names)
    modes = {one._name: one._multiprocess_mode for one in collectors if isinstance(one, Gauge)}
    # The operator is one process, and may be loaded here by another test.
    alone = ("keybearer_operator_", "keybearer_rotation_", "keybearer_pool_")
    ours = {name: mode for name, mode in modes.items() if name.startswith("keybearer_") and not name.startswith(alone)}
    assert len(ours) >= 5
    assert set(ours.values()) == {"livemax"}


def test_the_parent_tells_the_keyring_of_both(server: Installation, parent: Process) -> None:
    answer = parent.internal("/internal/keyring").json()
    key = base64.b64decode((server.folder / "keyring" / "k1").read_text())
    assert answer["primary"] == "k1"
    assert answer["keys"] == {"k1": hashlib.sha256(key).hexdigest()}
    assert answer["revision"]


@pytest.mark.long
def test_a_worker_that_hangs_is_not_ready(server: Installation, parent: Process) -> None:
    worker = workers_of(parent)[0]
    with only(worker, parent):
        answer = parent.internal("/readyz")
        assert parent.internal("/livez").status_code == 200
    assert (answer.status_code, answer.json()["problems"]) == (503, {"workers": "A worker does not answer."})
    until(lambda: parent.internal("/readyz").status_code == 200, "not ready again")


@pytest.mark.long
def test_a_killed_worker_is_replaced_while_the_other_serves(server: Installation, parent: Process) -> None:
    before = total(samples(parent), *HEALTH)
    killed, kept = workers_of(parent)
    killed.kill()
    unready = served = 0
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        assert status(server) == 200
        served += 1
        unready += parent.internal("/readyz").status_code == 503
        if len(workers_of(parent)) == 2 and killed not in workers_of(parent):
            break
    until(lambda: parent.internal("/readyz").status_code == 200, "not ready again")
    assert unready
    replaced = next(worker for worker in workers_of(parent) if worker != kept)
    with only(replaced, parent):
        assert status(server) == 200
    # A request is counted just after its answer left.
    until(lambda: total(samples(parent), *HEALTH) - before == served + 1, "what the killed one had counted is lost")
    assert "server.worker_died" in server.log.read_text()


def test_what_ended_is_refused_by_both(server: Installation, parent: Process) -> None:
    browser = server.browser()
    server.sign_in(browser)
    cookie = browser.client.cookies["keybearer_session"]
    for worker in workers_of(parent):
        with only(worker, parent):
            assert status(server, "/api/auth/me", cookie) == 200
    assert browser.post("/api/auth/logout").status_code == 204
    until(lambda: [status(server, "/api/auth/me", cookie) for _ in range(4)] == [401] * 4, "still accepted")
    for worker in workers_of(parent):
        with only(worker, parent):
            assert status(server, "/api/auth/me", cookie) == 401
    browser.close()


def test_sigterm_ends_all_of_it(short: Installation) -> None:
    process = short.processes[0]
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=WAIT_SECONDS) == 0
    assert [worker for worker in workers if worker.is_running()] == []
    with pytest.raises(httpx2.ConnectError):
        status(short)
    assert list((short.folder / "tmp").iterdir()) == []
    assert short.log.read_text().count("server.stopping") == 2


@pytest.mark.long
def test_workers_end_when_their_parent_is_killed(short: Installation) -> None:
    process = short.processes[0]
    workers = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    gone, alive = psutil.wait_procs(workers, timeout=WAIT_SECONDS)
    assert (len(gone), alive) == (2, [])
    with pytest.raises(httpx2.ConnectError):
        status(short)


@pytest.mark.long
def test_settings_that_a_worker_refuses_end_the_command(tmp_path: Path, database, keybearer_sandbox_server) -> None:
    with installed(tmp_path, database.url, database.owner_url, keybearer_sandbox_server) as made:
        (made.folder / "keyring" / "k1").write_text("c2hvcnQ=")
        done = made.command("serve", "--workers", "2", check=False)
    assert done.returncode == 1
    assert "KEYBEARER_KEYRING_DIR" in done.stderr
    assert "A worker refused to start" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
