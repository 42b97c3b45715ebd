"""Publishes events with the change that they tell of, and wakes the streams that wait for them."""

from collections.abc import Mapping
from typing import TypeVar
from uuid import UUID

from keybearer.events import store
from keybearer.events.streams import COMMENT_SECONDS, Stream, position_of
from keybearer.kit.database import Database, Transaction, notify
from keybearer.kit.errors import TooMany
from keybearer.kit.principal import Principal

_STREAMS_A_SESSION = 5

K = TypeVar("K")


class Events:
    """Subscribed to the listener (`keybearer.kit.listener.Subscriber`)."""

    def __init__(self, db: Database, *, comment_seconds: float = COMMENT_SECONDS) -> None:
        self._db = db
        self._comment_seconds = comment_seconds
        self._by_session: dict[UUID, set[Stream]] = {}
        self._by_person: dict[str, set[Stream]] = {}

    async def publish(
        self, tx: Transaction, tenant_id: UUID, user_id: UUID, name: str, data: Mapping[str, object]
    ) -> None:
        """Delivered if and when the transaction commits."""
        await store.add(tx, tenant_id, user_id, name, data)
        await notify(tx, "event", user_id)

    async def open(self, principal: Principal, last_event_id: str | None) -> Stream:
        """A stream that must be closed. Raises TooMany("too_many_streams"): five a session in each process."""
        position = await position_of(self._db, principal, last_event_id)
        mine = self._by_session.setdefault(principal.session_id, set())
        if len(mine) >= _STREAMS_A_SESSION:
            raise TooMany(
                "too_many_streams",
                "This session has five pages open that wait for events. Close one of them, then load this one again.",
                retry_after=30,
            )
        stream = Stream(self._db, principal, position, self._comment_seconds, lambda: self._forget(principal, stream))
        mine.add(stream)
        self._by_person.setdefault(str(principal.user_id), set()).add(stream)
        return stream

    def notified(self, kind: str, subject: str) -> None:
        if kind == "event":
            for stream in self._by_person.get(subject, ()):
                stream.wake()

    def disconnected(self) -> None:
        """Some notification may have been missed: every stream looks for itself."""
        for streams in self._by_person.values():
            for stream in streams:
                stream.wake()

    def stop(self) -> None:
        """Ends all streams, so that the server need not wait for pages that never leave."""
        for streams in list(self._by_person.values()):
            for stream in list(streams):
                stream.close()

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        await store.erase(tx, tenant_id, user_id)

    def _forget(self, principal: Principal, stream: Stream) -> None:
        _discard(self._by_session, principal.session_id, stream)
        _discard(self._by_person, str(principal.user_id), stream)


def _discard(streams: dict[K, set[Stream]], key: K, stream: Stream) -> None:
    remaining = streams.get(key, set())
    remaining.discard(stream)
    if not remaining:
        streams.pop(key, None)
