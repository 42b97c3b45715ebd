"""What the API server has of a kind, in memory: a look at a thousand objects that nobody changed asks it nothing.

kopf's events feed it. A watch that begins anew does not tell of what was deleted meanwhile, so a list puts it right:
once before the first look, and at each resync. Versions order the two, because they only grow for one object: whatever
is older than what is known, in an event or in a list, changes nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from keybearer_operator.kube import Object
from keybearer_operator.names import Key


class _Entry(NamedTuple):
    key: Key
    version: int
    what: Object


class Mirror:
    """`key`: under which an object is found. `kept`: what is needed of it; `managedFields` go in any case."""

    def __init__(self, key: Callable[[Object], Key], kept: Callable[[Object], Object] = dict) -> None:
        self._key = key
        self._kept = kept
        self._entries: dict[str, _Entry] = {}
        self._by_key: defaultdict[Key, dict[str, Object]] = defaultdict(dict)
        self._gone: dict[str, int] = {}

    def of(self, key: Key) -> list[Object]:
        return list(self._by_key[key].values()) if key in self._by_key else []

    def one(self, key: Key) -> Object | None:
        return next(iter(self.of(key)), None)

    def put(self, what: Object) -> None:
        """As it is in an event, a list, or the answer to a write of ours."""
        uid, version = what["metadata"]["uid"], _version(what)
        known = self._entries.get(uid)
        if uid in self._gone or (known is not None and known.version >= version):
            return
        self._drop(uid)
        metadata = {name: part for name, part in what["metadata"].items() if name != "managedFields"}
        entry = _Entry(self._key(what), version, {**self._kept(what), "metadata": metadata})
        self._entries[uid] = entry
        self._by_key[entry.key][uid] = entry.what

    def remove(self, what: Object) -> None:
        """It was deleted. A list that was under way then may still bring it."""
        self._gone[what["metadata"]["uid"]] = _version(what)
        self._drop(what["metadata"]["uid"])

    def renew(self, listed: Iterable[Object], version: int) -> None:
        """All that there was at `version`, the list's."""
        there = {what["metadata"]["uid"]: what for what in listed}
        for uid, entry in list(self._entries.items()):
            if uid not in there and entry.version <= version:
                self._drop(uid)
        for what in there.values():
            self.put(what)
        self._gone = {uid: at for uid, at in self._gone.items() if at > version}

    def _drop(self, uid: str) -> None:
        entry = self._entries.pop(uid, None)
        if entry is None:
            return
        del self._by_key[entry.key][uid]
        if not self._by_key[entry.key]:
            del self._by_key[entry.key]


def _version(what: Object) -> int:
    """A number that grows, as Kubernetes promises of it (KEP-5504)."""
    return int(what["metadata"]["resourceVersion"])
