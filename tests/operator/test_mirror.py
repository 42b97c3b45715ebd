"""The mirror has what the server has, whatever becomes of events and however late a list comes."""

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from keybearer_operator.mirror import Mirror
from keybearer_operator.names import Key

NAMES = ("a", "b", "c")


def key(what: dict[str, Any]) -> Key:
    return Key("ns", what["metadata"]["labels"]["pool"])


def thing(name: str, uid: str, version: int, pool: str = "p") -> dict[str, Any]:
    metadata = {"name": name, "uid": uid, "resourceVersion": str(version), "labels": {"pool": pool}}
    return {"metadata": {**metadata, "managedFields": ["long"]}, "spec": {"value": version}}


class Delivery(RuleBasedStateMachine):
    """A server, its events on their way in order, and lists that arrive when they like."""

    def __init__(self) -> None:
        super().__init__()
        self.mirror = Mirror(key)
        self.version = 0
        self.there: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self.events: list[tuple[Callable[[dict[str, Any]], None], dict[str, Any]]] = []
        self.lists: list[tuple[list[dict[str, Any]], int]] = []
        self.told: dict[str, int] = {}

    @rule(name=st.sampled_from(NAMES), pool=st.sampled_from(["p", "q"]))
    def write(self, name: str, pool: str) -> None:
        self.version += 1
        uid = self.there[name]["metadata"]["uid"] if name in self.there else f"{name}-{self.version}"
        self.there[name] = thing(name, uid, self.version, pool)
        self.events.append((self.mirror.put, self.there[name]))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        if name in self.there:
            self.version += 1
            found = self.there.pop(name)
            uid, pool = found["metadata"]["uid"], found["metadata"]["labels"]["pool"]
            self.events.append((self.mirror.remove, thing(name, uid, self.version, pool)))

    @rule()
    def arrive(self) -> None:
        if self.events:
            take, what = self.events.pop(0)
            take(what)
            if take == self.mirror.remove:
                self.deleted.add(what["metadata"]["uid"])

    @rule()
    def lose(self) -> None:
        """Those on their way, as where the watch breaks."""
        self.events.clear()

    @rule()
    def list_all(self) -> None:
        self.lists.append((list(self.there.values()), self.version))

    @rule()
    def listed(self) -> None:
        if self.lists:
            self.mirror.renew(*self.lists.pop(0))

    @rule(name=st.sampled_from(NAMES))
    def answer(self, name: str) -> None:
        """Of a write of ours, ahead of its event."""
        if name in self.there:
            self.mirror.put(self.there[name])

    @invariant()
    def never_goes_back(self) -> None:
        for pool in ("p", "q"):
            for found in self.mirror.of(Key("ns", pool)):
                metadata = found["metadata"]
                assert metadata["labels"]["pool"] == pool
                assert metadata["uid"] not in self.deleted
                assert self.told.get(metadata["uid"], 0) <= int(metadata["resourceVersion"])
                self.told[metadata["uid"]] = int(metadata["resourceVersion"])

    def teardown(self) -> None:
        """A list of the present puts it right."""
        self.mirror.renew(list(self.there.values()), self.version)
        seen = {found["metadata"]["uid"]: found["spec"] for pool in "pq" for found in self.mirror.of(Key("ns", pool))}
        assert seen == {found["metadata"]["uid"]: found["spec"] for found in self.there.values()}


Delivery.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
test_deliveries = Delivery.TestCase


def test_an_object_is_found_under_its_key_and_without_what_is_not_needed():
    mirror = Mirror(key, lambda found: {"value": found["spec"]["value"]})
    mirror.put(thing("a", "u", 3))
    found = mirror.one(Key("ns", "p"))
    assert found is not None
    assert found["value"] == 3
    assert "managedFields" not in found["metadata"]
    assert "spec" not in found
    assert mirror.one(Key("ns", "q")) is None
