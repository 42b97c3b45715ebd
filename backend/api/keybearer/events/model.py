"""Events, and the positions from which a stream can be resumed without losing one.

Ids are drawn before a commit, so a lower one can become visible after a higher one. A position is therefore a
transaction id below which everything was delivered, as the sealer of the ledger does it. Resuming delivers at least
once: an event says what changed, and hearing it twice does no harm.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_EVENT_ID = re.compile(r"([0-9]{1,19})-([0-9]{1,18})")
_FAR_XID = 2**64


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    xid: int
    name: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a look at the outbox found. Below `horizon` nothing can appear any more; `complete` if nothing was left."""

    horizon: int
    events: tuple[Event, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Position:
    """Everything below `floor` was delivered, and of the rest these (id, xid)."""

    floor: int
    delivered: frozenset[tuple[int, int]] = frozenset()

    @property
    def delivered_ids(self) -> list[int]:
        return [event_id for event_id, _ in self.delivered]

    def advance(self, arrived: Arrived) -> "tuple[Position, list[tuple[str, Event]]]":
        """The new position, and the new events, each with the id that resumes after it.

        `arrived` was read from `floor` on, without what was delivered.
        """
        floor = max(self.floor, arrived.horizon) if arrived.complete else self.floor
        seen = self.delivered | {(event.id, event.xid) for event in arrived.events}
        last = len(arrived.events) - 1
        # An id promises that nothing before it is missing: only the last of a batch may promise the new floor.
        named = [(f"{floor if n == last else self.floor}-{event.id}", event) for n, event in enumerate(arrived.events)]
        return Position(floor, frozenset(each for each in seen if each[1] >= floor)), named


def resumed(last_event_id: str | None) -> Position | None:
    """Where a `Last-Event-ID` stands, None for none or one that is not ours."""
    match = _EVENT_ID.fullmatch(last_event_id or "")
    if match is None:
        return None
    return Position(int(match[1]), frozenset({(int(match[2]), _FAR_XID)}))
