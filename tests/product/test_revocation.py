"""What ended is refused in every process within a second, whatever becomes of the connection that brings the news."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from installation import NO_CERTIFICATES, Browser
from signin.site import Site, Sql, site_of

BOUND = 1.0


@pytest.fixture(scope="module")
def running_site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with site_of(folder, module_database, keybearer_sandbox_server, processes=3) as site:
        yield site


@pytest.fixture
def site(running_site: Site, sandbox) -> Site:
    return running_site


@pytest.fixture
def sql(module_database) -> Sql:
    return Sql(module_database.superuser_url)


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    browser = site.browser()
    yield browser
    browser.close()


class Everywhere:
    """One session asked for at every process, over connections that are kept."""

    def __init__(self, site: Site, browser: Browser) -> None:
        cookie = browser.client.cookies["keybearer_session"]
        self._clients = [
            httpx2.Client(
                base_url=f"http://localhost:{port}",
                headers={"cookie": f"keybearer_session={cookie}"},
                trust_env=False,
                verify=NO_CERTIFICATES,
            )
            for port in (process.port for process in site.running)
        ]

    def statuses(self, path: str = "/api/auth/me") -> list[int]:
        return [client.get(path).status_code for client in self._clients]

    def bodies(self) -> list[dict[str, Any]]:
        return [client.get("/api/auth/me").json() for client in self._clients]

    def warm(self) -> None:
        """Every process knows the session from memory."""
        for _ in range(2):
            assert self.statuses() == [200] * len(self._clients)

    def seconds_until_refused(self) -> float:
        started = time.monotonic()
        while time.monotonic() - started < 5:
            if set(self.statuses()) == {401}:
                # And it stays so: an answer under way must not have been remembered.
                assert set(self.statuses()) == {401}
                return time.monotonic() - started
        raise AssertionError(f"still served after 5 s: {self.statuses()}")

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def everywhere(site: Site, browser: Browser) -> Iterator[Everywhere]:
    site.sign_in(browser)
    found = Everywhere(site, browser)
    found.warm()
    yield found
    found.close()


def listeners(sql: Sql, site: Site) -> list[int]:
    """The server's own processes behind the listening connections: those that beat four times a second."""
    beats = "SELECT pid, state_change FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT 1'"
    earlier = {row["pid"]: row["state_change"] for row in sql.all(beats)}
    time.sleep(0.8)
    found = [row["pid"] for row in sql.all(beats) if row["state_change"] != earlier.get(row["pid"])]
    assert len(found) == len(site.running), found
    return found


@contextmanager
def silenced(pids: list[int]) -> Iterator[None]:
    """The connections stay open, and nothing comes through them: what a dropped packet looks like."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def end_from_elsewhere(site: Site, browser: Browser) -> None:
    """Another browser of the same person ends all other sessions."""
    second = site.browser(site.running[-1].port)
    site.sign_in(second)
    assert second.delete("/api/auth/sessions").json()["ended"] >= 1
    second.close()


def end_by_logout(site: Site, browser: Browser) -> None:
    assert browser.post("/api/auth/logout").status_code == 204


@pytest.mark.parametrize("end", [end_by_logout, end_from_elsewhere])
def test_an_ended_session_is_refused_everywhere(site: Site, browser: Browser, everywhere: Everywhere, end) -> None:
    end(site, browser)
    assert everywhere.seconds_until_refused() < BOUND


def test_an_ended_session_is_refused_by_every_route(site: Site, browser: Browser, everywhere: Everywhere) -> None:
    end_by_logout(site, browser)
    everywhere.seconds_until_refused()
    for path in ("/api/auth/check", "/api/auth/sessions", "/api/connections", "/api/grants", "/api/ledger"):
        assert set(everywhere.statuses(path)) == {401}, path


def test_the_bound_holds_when_the_listening_connections_are_cut(
    site: Site, browser: Browser, everywhere: Everywhere, sql: Sql
) -> None:
    for pid in listeners(sql, site):
        sql.all("SELECT pg_terminate_backend($1)", pid)
    end_by_logout(site, browser)
    assert everywhere.seconds_until_refused() < BOUND


def test_the_bound_holds_when_no_news_comes_through(
    site: Site, browser: Browser, everywhere: Everywhere, sql: Sql
) -> None:
    pids = listeners(sql, site)
    everywhere.warm()
    with silenced(pids):
        end_by_logout(site, browser)
        assert everywhere.seconds_until_refused() < BOUND


@pytest.mark.long
def test_processes_listen_again_after_a_cut(site: Site, browser: Browser, everywhere: Everywhere, sql: Sql) -> None:
    for pid in listeners(sql, site):
        sql.all("SELECT pg_terminate_backend($1)", pid)
    deadline = time.monotonic() + 10
    while len(beating(sql)) < len(site.running):
        assert time.monotonic() < deadline
    everywhere.warm()
    end_by_logout(site, browser)
    assert everywhere.seconds_until_refused() < BOUND


def beating(sql: Sql) -> list[int]:
    recent = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT 1' "
        "AND clock_timestamp() - state_change < interval '0.5 s'"
    )
    return [row["pid"] for row in sql.all(recent)]


@pytest.mark.parametrize(
    "change",
    ["UPDATE users SET disabled_at = now() WHERE id = $1", "UPDATE sessions SET expires_at = now() WHERE user_id = $1"],
)
def test_a_persons_change_is_seen_everywhere(
    site: Site, browser: Browser, everywhere: Everywhere, sql: Sql, change: str
) -> None:
    person = browser.get("/api/auth/me").json()["id"]
    try:
        sql.all(f"WITH changed AS ({change} RETURNING 1) SELECT pg_notify('keybearer', 'user:' || $1::uuid)", person)
        assert everywhere.seconds_until_refused() < BOUND
    finally:
        sql.all("UPDATE users SET disabled_at = NULL")


def test_a_changed_role_is_seen_everywhere(site: Site, browser: Browser, everywhere: Everywhere, sql: Sql) -> None:
    person = browser.get("/api/auth/me").json()["id"]
    sql.all(
        "WITH changed AS (UPDATE users SET role = 'admin' WHERE id = $1 RETURNING 1) "
        "SELECT pg_notify('keybearer', 'user:' || $1::uuid)",
        person,
    )
    deadline = time.monotonic() + BOUND
    while {tuple(each["roles"]) for each in everywhere.bodies()} != {("admin",)}:
        assert time.monotonic() < deadline
    sql.all("UPDATE users SET role = 'member'")


def test_ending_the_others_spares_this_one(site: Site, browser: Browser, everywhere: Everywhere) -> None:
    second = site.browser()
    site.sign_in(second)
    second.delete("/api/auth/sessions")
    everywhere.seconds_until_refused()
    kept = Everywhere(site, second)
    assert kept.statuses() == [200] * 3
    kept.close()
    second.close()
