"""Windows of this process alone, bounded in number.

The library's own storage in memory looks at every key in a thread at each hit (2.3 s of a core for 10,000 keys), which
would make a flood from many addresses worse than the flood. This one looks at the key that was asked for.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from limits.aio.storage import MemoryStorage

_KEYS = 100_000


class BoundedMemory(MemoryStorage):
    """The longest unused key is forgotten at the bound. Moving windows are all that is asked of it."""

    STORAGE_SCHEME: list[str] = []  # noqa: RUF012 -- the library's name; it is made here and found by nobody

    def __init__(self, *, keys: int = _KEYS, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._keys = keys
        self._clock = clock
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Newest first, and never more than the limit: what is older decides nothing."""
        now = self._clock()
        hits = self._hits.get(key)
        if hits is None:
            hits = self._hits[key] = deque(maxlen=limit)
            while len(self._hits) > self._keys:
                self._hits.popitem(last=False)
        self._hits.move_to_end(key)
        if amount > limit or (len(hits) > limit - amount and hits[limit - amount] > now - expiry):
            return False
        hits.extendleft([now] * amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """When the oldest hit in the window was, and how many there are."""
        now = self._clock()
        inside = [hit for hit in self._hits.get(key, ()) if hit > now - expiry]
        return (inside[-1], len(inside)) if inside else (now, 0)

    def __len__(self) -> int:
        return len(self._hits)
