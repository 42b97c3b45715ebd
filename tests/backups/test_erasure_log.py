"""Somebody deletes the account on a running server: the log says so before the database does."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Browser
from keybearer.keys import erasures
from signin.living import browser, site, sql
from signin.site import Site, Sql, site_of

__all__ = ["browser", "site", "sql"]


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("erasures")


@pytest.fixture(scope="module")
def running_site(tmp_path_factory, module_database, keybearer_sandbox_server, log_folder: Path) -> Iterator[Site]:
    extra = {"ERASURE_LOG_DIR": str(log_folder)}
    with site_of(tmp_path_factory.mktemp("site"), module_database, keybearer_sandbox_server, **extra) as site:
        yield site


def test_whoever_leaves_is_in_the_log(site: Site, browser: Browser, sql: Sql, log_folder: Path) -> None:
    person = str(site.sign_in(browser, "dora@example.com")["id"])
    before = erasures.read(log_folder)
    assert browser.delete("/api/auth/me", json={"confirm": "nobody@example.com"}).status_code == 400
    assert erasures.read(log_folder) == before

    assert browser.delete("/api/auth/me", json={"confirm": "dora@example.com"}).status_code == 204
    logged = erasures.read(log_folder)[-1]
    assert str(logged.user_id) == person
    recorded = sql.all(
        "SELECT era, xid::text FROM ledger WHERE action = 'account.erased' AND user_id = $1", logged.user_id
    )
    assert [tuple(row) for row in recorded] == [(logged.era, str(logged.xid))]
    assert all("dora" not in path.read_text() for path in log_folder.iterdir())


def test_what_cannot_be_logged_does_not_happen(site: Site, browser: Browser, sql: Sql, log_folder: Path) -> None:
    person = site.sign_in(browser, "bob@example.com")["id"]
    kept = {path.name: path.read_bytes() for path in log_folder.iterdir()}
    shutil.rmtree(log_folder)
    answer = browser.delete("/api/auth/me", json={"confirm": "bob@example.com"})
    assert (answer.status_code, answer.json()["code"]) == (503, "erasure_not_logged")
    assert answer.headers["retry-after"] == "60"
    assert browser.get("/api/auth/me").status_code == 200
    assert sql.one("SELECT count(*) FROM ledger WHERE action = 'account.erased' AND user_id = $1", person) == 0

    log_folder.mkdir()
    for name, content in kept.items():
        (log_folder / name).write_bytes(content)
    assert browser.delete("/api/auth/me", json={"confirm": "bob@example.com"}).status_code == 204
    assert str(erasures.read(log_folder)[-1].user_id) == person


@pytest.mark.long
def test_a_server_without_its_log_does_not_start(site: Site, log_folder: Path) -> None:
    site.extra["ERASURE_LOG_DIR"] = str(log_folder / "absent")
    done = site.command("verify", check=False)
    site.extra["ERASURE_LOG_DIR"] = str(log_folder)
    assert done.returncode == 1
    assert "KEYBEARER_ERASURE_LOG_DIR" in done.stdout
    assert "is no folder that can be written to" in done.stdout
