"""A whole installation is lost and comes back: what its people find the next morning."""

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from installation import Browser, Installation, installed
from keybearer.keys import erasures
from keybearer_sandbox.testing import RunningSandbox


@pytest.fixture
def elsewhere(postgres_server: Any, template: Any) -> Iterator[tuple[str, str]]:
    """An empty database: the application's and the migrating login's URL."""
    name = f"elsewhere_{secrets.token_hex(6)}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(postgres_server.superuser_dsn())
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f"CREATE DATABASE {name} OWNER keybearer_owner"))
    yield tuple(url.replace(f"/{template.name}?", f"/{name}?") for url in (template.url, template.owner_url))
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


def refreshed(installation: Installation, browser: Browser, connection: str) -> int:
    return browser.post(f"/api/connections/{connection}/refresh").status_code


@pytest.mark.long
def test_people_carry_on(tmp_path: Path, module_database: Any, elsewhere: Any, sandbox: RunningSandbox) -> None:
    log, archives = tmp_path / "erasures", tmp_path / "archives"
    log.mkdir()
    archives.mkdir()
    urls = (module_database.url, module_database.owner_url)
    with installed(tmp_path / "first", *urls, sandbox, ERASURE_LOG_DIR=str(log)) as first:
        first.start()
        alice, dora = first.browser(), first.browser()
        before = first.sign_in(alice)
        connection = first.connect(alice)["id"]
        grant = first.grant(alice)["grant"]
        assert first.call(grant, "spotify/v1/me").status_code == 200
        first.sign_in(dora, "dora@example.com")

        first.command("backup", "--to", str(archives))

        assert dora.delete("/api/auth/me", json={"confirm": "dora@example.com"}).status_code == 204
        late = first.connect(alice, "github")["id"]
        cookies = dict(alice.client.cookies)
    (path,) = archives.iterdir()
    assert len(erasures.read(log)) == 1

    with installed(tmp_path / "second", *elsewhere, sandbox, ERASURE_LOG_DIR=str(log)) as second:
        for name in ("keyring", "signing"):
            shutil.copytree(tmp_path / "first" / name, second.folder / name, dirs_exist_ok=True)
        told = second.command("restore", str(path)).stdout
        assert "Deleted again: 1 people" in told
        assert "1 connections are tried" in told
        second.start()
        yesterday, alice = second.browser(), second.browser()
        yesterday.client.cookies.update(cookies)
        assert yesterday.get("/api/auth/me").status_code == 401
        assert second.call(grant, "spotify/v1/me").status_code == 401

        assert second.sign_in(alice)["id"] == before["id"]
        (kept,) = second.connections(alice)
        assert (kept["id"], kept["state"], kept["state_reason"]) == (connection, "active", None)
        assert late != kept["id"]
        assert second.call(second.grant(alice)["grant"], "spotify/v1/me").status_code == 200
        assert refreshed(second, alice, connection) == 200
        assert second.sign_in(second.browser(), "dora@example.com")["name"]
        actions = [entry["action"] for entry in second.ledger(alice)]
        assert {"connection.created", "connection.refreshed"} <= set(actions)
        assert "The ledger is whole" in second.command("ledger", "verify").stdout
