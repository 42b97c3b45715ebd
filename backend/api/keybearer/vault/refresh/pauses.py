"""After a refresh failed for now, the same connection is left alone for a while, longer each time."""

import math
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from keybearer.vault.refresh.timings import Timings

_BOUND = 10_000


@dataclass(frozen=True, slots=True)
class _Pause:
    failures: int
    until: float


class Pauses:
    """Kept in this process alone: its only purpose is not to knock at a closed door with every caller."""

    def __init__(self, timings: Timings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._timings = timings
        self._monotonic = monotonic
        self._pauses: OrderedDict[UUID, _Pause] = OrderedDict()

    def left(self, connection_id: UUID) -> int:
        """Whole seconds until the next attempt is welcome, 0 for now."""
        pause = self._pauses.get(connection_id)
        return 0 if pause is None else max(0, math.ceil(pause.until - self._monotonic()))

    def failed(self, connection_id: UUID, retry_after: float | None) -> int:
        """Begins a longer pause than the last, and at least `retry_after`; answers it in whole seconds."""
        earlier = self._pauses.pop(connection_id, None)
        failures = 0 if earlier is None else earlier.failures
        backoff = min(self._timings.first_pause * 2.0 ** min(failures, 16), self._timings.longest_pause)
        seconds = max(jittered(backoff), retry_after or 0.0)
        self._pauses[connection_id] = _Pause(failures + 1, self._monotonic() + seconds)
        while len(self._pauses) > _BOUND:
            self._pauses.popitem(last=False)
        return max(1, math.ceil(seconds))

    def succeeded(self, connection_id: UUID) -> None:
        self._pauses.pop(connection_id, None)


def jittered(seconds: float) -> float:
    """Between half and all of it, so that those who failed together do not come back together."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 -- spreads load, protects nothing
