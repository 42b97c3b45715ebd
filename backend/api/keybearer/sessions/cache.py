"""What this process knows of bearer secrets, and when it may still believe it (rule R3).

Pure: no clock, no I/O. An entry is served only while the listener proves that no earlier revocation is on its way
(`Listener.fresh`), and stored only if nothing that concerns it was invalidated since its query began.
"""

from collections import OrderedDict
from collections.abc import Callable

from keybearer.sessions.model import Resolved

MAX_ENTRIES = 50_000
ENTRY_SECONDS = 30.0
_MAX_MARKS = 10_000

Closer = Callable[[], None]


class BearerCache:
    """`clock` is monotonic seconds, `wall` POSIX seconds, `fresh` whether cached knowledge may be served now."""

    def __init__(
        self,
        *,
        fresh: Callable[[], bool],
        clock: Callable[[], float],
        wall: Callable[[], float],
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._fresh = fresh
        self._clock = clock
        self._wall = wall
        self._max_entries = max_entries
        self._entries: OrderedDict[bytes, tuple[float, Resolved]] = OrderedDict()
        self._generation = 0
        self._floor = 0
        self._marks: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._by_subject: dict[tuple[str, str], set[bytes]] = {}
        self._closers: dict[bytes, tuple[Resolved, list[Closer]]] = {}

    @property
    def generation(self) -> int:
        """Note it before a query, and hand it to `put` with the answer."""
        return self._generation

    def get(self, digest: bytes) -> Resolved | None:
        entry = self._entries.get(digest)
        if entry is None or not self._fresh():
            return None
        until, resolved = entry
        if self._clock() >= until:
            self._drop(digest)
            return None
        return resolved

    def put(self, resolved: Resolved, generation: int) -> None:
        if not self._fresh() or not self._unchanged_since(resolved, generation):
            return
        lifetime = min(ENTRY_SECONDS, resolved.usable_until.timestamp() - self._wall())
        if lifetime <= 0:
            return
        self._drop(resolved.digest)
        self._entries[resolved.digest] = (self._clock() + lifetime, resolved)
        self._index(resolved)
        while len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    def on_revoked(self, resolved: Resolved, close: Closer) -> Closer:
        """Calls `close` when the token may have been revoked; the answer unregisters it."""
        _, closers = self._closers.setdefault(resolved.digest, (resolved, []))
        closers.append(close)
        self._index(resolved)

        def unregister() -> None:
            if close in closers:
                closers.remove(close)
            if not closers and self._closers.get(resolved.digest, (None, None))[1] is closers:
                del self._closers[resolved.digest]
                self._unindex(resolved)

        return unregister

    def notified(self, kind: str, subject: str) -> None:
        if kind not in {"token", "session", "user", "tenant"}:
            return
        self._generation += 1
        self._mark((kind, subject))
        concerned = list(self._by_subject.get((kind, subject), ()))
        for digest in concerned:
            self._drop(digest)
        # Streams come last: what one of them does must not keep an entry alive.
        for digest in concerned:
            self._close(digest)

    def disconnected(self) -> None:
        """Everything may have changed unseen. Streams stay: they are checked again by whoever runs them."""
        self._generation += 1
        self._floor = self._generation
        self._marks.clear()
        self._entries.clear()
        self._by_subject = {
            subject: kept for subject, digests in self._by_subject.items() if (kept := digests & self._closers.keys())
        }

    def _unchanged_since(self, resolved: Resolved, generation: int) -> bool:
        if generation < self._floor:
            return False
        return all(self._marks.get(subject, 0) <= generation for subject in _subjects(resolved))

    def _mark(self, subject: tuple[str, str]) -> None:
        self._marks[subject] = self._generation
        self._marks.move_to_end(subject)
        while len(self._marks) > _MAX_MARKS:
            _, forgotten = self._marks.popitem(last=False)
            self._floor = max(self._floor, forgotten)

    def _drop(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self._unindex(entry[1])

    def _close(self, digest: bytes) -> None:
        found = self._closers.pop(digest, None)
        if found is None:
            return
        resolved, closers = found
        self._unindex(resolved)
        for close in closers:
            close()

    def _index(self, resolved: Resolved) -> None:
        for subject in _subjects(resolved):
            self._by_subject.setdefault(subject, set()).add(resolved.digest)

    def _unindex(self, resolved: Resolved) -> None:
        """Unless an entry or a stream still needs to be found by its subjects."""
        digest = resolved.digest
        if digest in self._entries or digest in self._closers:
            return
        for subject in _subjects(resolved):
            digests = self._by_subject.get(subject)
            if digests is not None:
                digests.discard(digest)
                if not digests:
                    del self._by_subject[subject]


def _subjects(resolved: Resolved) -> tuple[tuple[str, str], ...]:
    return (
        ("token", resolved.digest.hex()),
        ("session", str(resolved.subject_id)),
        ("user", str(resolved.user_id)),
        ("tenant", str(resolved.tenant_id)),
    )
