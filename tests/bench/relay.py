"""Stands between the servers' listening connections and PostgreSQL, and can swallow every packet both ways."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from keybearer.cli.postgres_folder import PORT

_NAME = f".s.PGSQL.{PORT}"


class Relay:
    """A thread of its own, since tests of a running site block theirs."""

    def __init__(self, behind: Path, folder: Path) -> None:
        self._behind = behind / _NAME
        self._folder = folder
        self._dropping = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    def drop(self) -> None:
        """From now on nothing arrives and nobody is told, as when a network swallows packets."""
        self._dropping = True

    def heal(self) -> None:
        self._dropping = False
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._folder.mkdir()
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            starting = asyncio.start_unix_server(self._relay, self._folder / _NAME)
            server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
            yield
            self._loop.call_soon_threadsafe(server.close)
            self.heal()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    async def _hang_up(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._behind)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, far_writer))
                both.create_task(self._copy(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if not self._dropping:
                    writer.write(data)
        writer.close()


def url_through(url: str, folder: Path) -> str:
    """The same database through the socket in `folder`."""
    behind = parse_qs(urlsplit(url).query)["host"][0]
    return url.replace(behind, str(folder))
