"""One open page's stream of events, as server-sent events (HTML Standard, section 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import UUID

import structlog

from keybearer.events import store
from keybearer.events.model import Event, Position, resumed
from keybearer.kit.database import Database
from keybearer.kit.errors import Unavailable
from keybearer.kit.principal import Principal

COMMENT_SECONDS = 15.0
_RETRY = b"retry: 2000\n\n"
_COMMENT = b": still here\n\n"
_AT_ONCE = 100

log = structlog.get_logger(__name__)


class Stream:
    """Frames for one page. Ends when it is closed or the session's time is over."""

    def __init__(
        self, db: Database, principal: Principal, position: Position, comment_seconds: float, forget: Callable[[], None]
    ) -> None:
        self._db = db
        self._principal = principal
        self._position = position
        self._comment_seconds = comment_seconds
        self._forget = forget
        self._wake = asyncio.Event()
        self._closed = False

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        """The frames end; may be called twice."""
        self._closed = True
        self._wake.set()
        self._forget()

    async def frames(self) -> AsyncIterator[bytes]:
        yield _RETRY
        while not self._over():
            self._wake.clear()
            complete = True
            try:
                async with self._db.transaction(self._principal.tenant_id) as tx:
                    arrived = await store.read(tx, *self._person, self._position, _AT_ONCE)
                # Whoever was shut out while the query ran must not see its answer.
                if self._over():
                    return
                position, named = self._position.advance(arrived)
                for event_id, event in named:
                    yield _frame(event_id, event)
                self._position, complete = position, arrived.complete
            except Unavailable:
                log.warning("events.database_unavailable")
            if complete and not await self._woken():
                # The look that follows finds what was published while no notification could arrive.
                yield _COMMENT

    async def _woken(self) -> bool:
        try:
            async with asyncio.timeout(self._comment_seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    def _over(self) -> bool:
        return self._closed or datetime.now(UTC) >= self._principal.expires_at

    @property
    def _person(self) -> tuple[UUID, UUID]:
        return self._principal.tenant_id, self._principal.user_id


async def position_of(db: Database, principal: Principal, last_event_id: str | None) -> Position:
    """Where a stream begins: after the last event that the page has seen, or now."""
    async with db.transaction(principal.tenant_id) as tx:
        now = await store.horizon(tx)
        position = resumed(last_event_id)
        if position is not None and position.floor <= now:
            return position
        position = Position(now)
        while True:
            arrived = await store.read(tx, principal.tenant_id, principal.user_id, position, _AT_ONCE)
            position, _ = position.advance(arrived)
            if arrived.complete:
                return position


def _frame(event_id: str, event: Event) -> bytes:
    data = json.dumps(event.data, separators=(",", ":"))
    return f"id: {event_id}\nevent: {event.name}\ndata: {data}\n\n".encode()
