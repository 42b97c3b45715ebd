"""Turns a presented token into what it stands for: memory first, one query otherwise."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from keybearer.kit import tokens
from keybearer.kit.database import Database
from keybearer.kit.errors import Unavailable
from keybearer.sessions import metrics, store
from keybearer.sessions.cache import BearerCache, Closer
from keybearer.sessions.model import Claims, Resolved

Loader = Callable[[], Awaitable[Resolved | None]]

# What a bearer secret of ours begins with, where it is one that resolves.
_PREFIXES = (tokens.SESSION, tokens.GRANT, tokens.API_KEY)
_CONCURRENT_QUERIES = 6
_WAITING_LIMIT = 500
# Whoever joins a query later than that asks again: its answer may be older than a revocation everybody knows of.
_JOIN_SECONDS = 0.5


@dataclass(slots=True)
class _Flight:
    """One look-up that many wait for. `sent` is when its query left, None before."""

    task: "asyncio.Task[Resolved | None]"
    sent: float | None = None


class BearerResolver:
    """Misses are single-flight per token, and few at a time: a flood of unknown tokens must not take the pool."""

    def __init__(
        self,
        db: Database,
        cache: BearerCache,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._cache = cache
        self._now = now
        self._monotonic = monotonic
        self._queries = asyncio.Semaphore(_CONCURRENT_QUERIES)
        self._flights: dict[bytes, _Flight] = {}

    async def resolve(self, token: str) -> Resolved | None:
        """None for a token that is unknown, expired, revoked, idle for too long, or whose person is disabled.

        Raises Unavailable("overloaded") when too many look-ups wait already.
        """
        if not any(tokens.is_well_formed(token, prefix) for prefix in _PREFIXES):
            return None
        digest = tokens.digest(token)
        return self._remembered(digest) or await self._fly(digest, lambda: store.resolve(self._db, digest))

    async def resolve_access(self, token: str, read: Callable[[], Claims | None]) -> Resolved | None:
        """The same for an access token (RFC 9068): its session decides whether it still counts.

        `read` checks the token and answers what it claims, None for one that is not good. What memory knows was
        checked before.
        """
        digest = tokens.digest(token)
        found = self._remembered(digest)
        if found is not None:
            return found
        claims = read()
        if claims is None:
            return None
        return await self._fly(digest, lambda: store.resolve_session(self._db, digest, claims))

    def cached(self, digest: bytes) -> Resolved | None:
        """What memory may answer at this moment, None when the database has to be asked."""
        return self._cache.get(digest)

    def on_revoked(self, resolved: Resolved, close: Closer) -> Closer:
        """`close` is called when the token ends; the answer unregisters it."""
        return self._cache.on_revoked(resolved, close)

    def _remembered(self, digest: bytes) -> Resolved | None:
        cached = self.cached(digest)
        metrics.CACHE.labels("miss" if cached is None else "hit").inc()
        return cached

    async def _fly(self, digest: bytes, load: Loader) -> Resolved | None:
        flight = self._flights.get(digest)
        if flight is None or self._is_late(flight):
            if len(self._flights) >= _WAITING_LIMIT:
                raise Unavailable(
                    "overloaded", "Too many sign-ins are being checked at once. Try again in a second.", retry_after=1
                )
            flight = self._take_off(digest, load)
        return await asyncio.shield(flight.task)

    def _take_off(self, digest: bytes, load: Loader) -> _Flight:
        flight = _Flight(asyncio.create_task(self._query(digest, load)))
        self._flights[digest] = flight

        def land(_: object) -> None:
            if self._flights.get(digest) is flight:
                del self._flights[digest]

        flight.task.add_done_callback(land)
        return flight

    def _is_late(self, flight: _Flight) -> bool:
        return flight.sent is not None and self._monotonic() - flight.sent > _JOIN_SECONDS

    async def _query(self, digest: bytes, load: Loader) -> Resolved | None:
        async with self._queries:
            self._flights[digest].sent = self._monotonic()
            generation = self._cache.generation
            resolved = await load()
        # An entry that began to look idle has left the cache, so it was read again: it may have been used elsewhere.
        if resolved is None or resolved.disabled or resolved.usable_until <= self._now():
            return None
        self._cache.put(resolved, generation)
        return resolved
