"""One installation for the tests of a module: server processes that stay up, and a superuser's view of the database."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx2
from installation import Browser, Installation, Process, free_port, log_lines
from keybearer_sandbox.testing import RunningSandbox

SPOTIFY_CALLBACK = "/api/spotify/callback"


class Sql:
    """Looks and changes past every rule of the application, as only a test may."""

    def __init__(self, superuser_url: str) -> None:
        self._url = superuser_url

    def all(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        return asyncio.run(self._run(statement, arguments))

    def one(self, statement: str, *arguments: object) -> Any:
        """The first column of the first row; None without rows."""
        rows = self.all(statement, *arguments)
        return rows[0][0] if rows else None

    async def _run(self, statement: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._url, server_settings={"search_path": "keybearer"})
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()


@dataclass
class Site(Installation):
    """An installation whose processes are remembered."""

    running: list[Process] = field(default_factory=list)


@contextmanager
def site_of(
    folder: Path,
    database: Any,
    sandbox: RunningSandbox,
    *,
    processes: int = 1,
    keys_of: Installation | None = None,
    **extra: str,
) -> Iterator[Site]:
    """Spotify has a callback path of its own, as an installation may set it. Two on one database need the same keys."""
    site = Site(folder / "installation", database.url, database.owner_url, sandbox, extra=extra)
    try:
        if keys_of is not None:
            for name in ("keyring", "signing"):
                shutil.copytree(keys_of.folder / name, site.folder / name, dirs_exist_ok=True)
        spotify = site.folder / "providers" / "spotify.yaml"
        spotify.write_text(f"{spotify.read_text()}callback_path: {SPOTIFY_CALLBACK}\n")
        sandbox.register_redirect_uri(site.url + SPOTIFY_CALLBACK)
        site.running.append(site.start())
        for _ in range(processes - 1):
            site.running.append(site.start(port=free_port()))
        yield site
    finally:
        site.close()


def start(browser: Browser, provider: str = "google", **query: str) -> str:
    """Begins a sign-in; the address that the browser is sent to."""
    answer = browser.get(f"/api/auth/{provider}/start", params=query)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def consent(site: Installation, authorize_url: str, account: str = "alice@example.com", *, deny: bool = False) -> str:
    """Path and query that the provider sends the browser back to."""
    back = urlsplit(site.sandbox.authorize(authorize_url, account, deny=deny))
    return f"{back.path}?{back.query}"


def problem(answer: httpx2.Response) -> str:
    """The code that a redirect after a failed flow leads to a page for."""
    assert answer.status_code == 303, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    found = query.get("code") or query.get("problem")
    assert found, answer.headers["location"]
    return found[0]


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def log_lines_of(site: Installation) -> list[dict[str, Any]]:
    """Each line of the log; one that is not JSON fails the test."""
    return log_lines(site.log)
