"""Resuming as a property: whatever the order of commits and wherever the connection breaks, nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st
from keybearer.events.model import Arrived, Event, Position, resumed


class Outbox:
    """Transactions that take their ids in one order and commit in another."""

    def __init__(self) -> None:
        self.running: dict[int, list[int]] = {}
        self.visible: list[Event] = []
        self.next_xid, self.next_id = 100, 1

    def begin(self) -> None:
        self.running[self.next_xid] = []
        self.next_xid += 1

    def publish(self, xid: int) -> None:
        self.running[xid].append(self.next_id)
        self.next_id += 1

    def commit(self, xid: int) -> None:
        self.visible += [Event(event_id, xid, "x", {}) for event_id in self.running.pop(xid)]

    def read(self, position: Position, limit: int) -> Arrived:
        horizon = min(self.running, default=self.next_xid)
        known = set(position.delivered_ids)
        found = sorted(
            (event for event in self.visible if event.xid >= position.floor and event.id not in known),
            key=lambda event: event.id,
        )[:limit]
        return Arrived(horizon, tuple(found), complete=len(found) < limit)


@given(st.data())
def test_nothing_is_lost_wherever_the_connection_breaks(data: st.DataObject) -> None:
    outbox, position = Outbox(), Position(100)
    seen: list[int] = []
    last_id: str | None = None
    since_break: list[int] = []
    for _ in range(data.draw(st.integers(1, 40))):
        step = data.draw(st.sampled_from(["begin", "publish", "publish", "commit", "read", "read", "break"]))
        if step == "begin":
            outbox.begin()
        elif step in {"publish", "commit"} and outbox.running:
            xid = data.draw(st.sampled_from(sorted(outbox.running)))
            getattr(outbox, step)(xid)
        elif step == "read":
            position, named = position.advance(outbox.read(position, data.draw(st.integers(1, 3))))
            for delivered, (event_id, event) in enumerate(named):
                if delivered == data.draw(st.integers(0, 5)) and delivered:  # breaks in the middle of a batch
                    position, since_break = resumed(last_id) or Position(100), []
                    break
                seen.append(event.id)
                since_break.append(event.id)
                last_id = event_id
        elif step == "break":
            position, since_break = resumed(last_id) or Position(100), []
        assert len(since_break) == len(set(since_break)), "one connection never repeats itself"
    for xid in sorted(outbox.running):
        outbox.commit(xid)
    while True:
        position, named = position.advance(outbox.read(position, 2))
        seen += [event.id for _, event in named]
        if not named:
            break
    assert set(seen) == {event.id for event in outbox.visible}


def test_what_is_not_ours_is_no_position() -> None:
    for text in (None, "", "1", "1-", "-1", "1-2-3", "a-b", "1" * 20 + "-1", "1-" + "1" * 19, "١-٢", "1-2\n"):
        assert resumed(text) is None, text
