"""Takes what an operator changed in mounted folders without a restart (rule R9)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog
from prometheus_client import Counter

from keybearer.kit.errors import ConfigurationError, Unavailable

LOOK_SECONDS = 1.0

_RELOADS = Counter("keybearer_reloads_total", "Changes of mounted keys and logins.", ("source", "outcome"))

log = structlog.get_logger(__name__)

Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(slots=True)
class Source:
    """`take` answers whether anything changed, and raises what says why it cannot be used."""

    name: str
    folder: Path
    take: Callable[[], Awaitable[bool]]
    seen: Fingerprint | None = None
    refused: str | None = None


class Reloader:
    """Looks at each folder once a second. One that cannot be used is tried again, and what was there serves on."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="reloader")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        for source in self._sources:
            try:
                await _look(source)
            except Exception:  # a loop that ended silently would be found at the next rotation
                log.exception("reload.failed", source=source.name)

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)


async def _look(source: Source) -> None:
    found = _fingerprint(source.folder)
    if found is not None and found == source.seen:
        return
    try:
        changed = await source.take()
    except (ConfigurationError, Unavailable, asyncpg.PostgresError, OSError) as error:
        # The words of a driver may name a login; those of our own errors are made for logs.
        reason = str(error) if isinstance(error, ConfigurationError) else type(error).__name__
        if reason != source.refused:
            log.warning("reload.refused", source=source.name, reason=reason)
            _RELOADS.labels(source.name, "refused").inc()
        source.refused = reason
        return
    source.seen, source.refused = found, None
    if changed:
        log.info("reload.taken", source=source.name)
        _RELOADS.labels(source.name, "taken").inc()


def _fingerprint(folder: Path) -> Fingerprint | None:
    """Changes with every file, and with the folder that a mount's link `..data` leads to; None while that moves."""
    try:
        facts = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:
        return None
    return tuple((name, fact.st_ino, fact.st_mtime_ns, fact.st_size) for name, fact in facts)
