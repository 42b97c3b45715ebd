"""Stops calling a provider that keeps failing, so that its outage costs callers nothing and it can recover.

closed → (failures in a row, close together) → open → (time passes) → half-open: one call tries → closed, or
open again for longer each time.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Literal

from keybearer.kit.errors import Unavailable

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Opens after `failures` in a row within `window` seconds, for `first` seconds, doubling up to `longest`.

    A probe whose outcome is never told (its caller was cancelled) blocks others for `probe` seconds only.
    """

    failures: int = 5
    window: float = 60.0
    first: float = 5.0
    longest: float = 300.0
    probe: float = 30.0


class Breaker:
    """Ask `check()` before a call and tell how it went. Any answer but 5xx and 429 is a success here."""

    def __init__(
        self,
        title: str = "The provider",
        *,
        limits: Limits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._limits = limits or Limits()
        self._monotonic = monotonic
        self._failures = 0
        self._first_failure = 0.0
        self._openings = 0
        self._open_until: float | None = None
        self._probe_until: float | None = None
        self.reason: str | None = None

    @property
    def state(self) -> State:
        if self._open_until is None:
            return "closed"
        return "open" if self._monotonic() < self._open_until else "half_open"

    def check(self) -> None:
        """Raises Unavailable while open, and in half-open for all but the one caller who tries."""
        if self._open_until is None:
            return
        now = self._monotonic()
        if now < self._open_until:
            raise self._unavailable(self._open_until - now)
        if self._probe_until is not None and now < self._probe_until:
            raise self._unavailable(self._probe_until - now)
        self._probe_until = now + self._limits.probe

    def succeeded(self) -> None:
        """An answer came. While open it says nothing: it belongs to a call from before the breaker opened."""
        if self.state == "open":
            return
        self._failures = 0
        self._openings = 0
        self._open_until = None
        self._probe_until = None
        self.reason = None

    def failed(self, reason: str = "failing") -> None:
        """The provider was unreachable, too slow, or answered with an error of its own."""
        state = self.state
        if state == "open":
            return
        if state == "half_open":
            self._open(reason)
            return
        now = self._monotonic()
        if self._failures == 0 or now - self._first_failure > self._limits.window:
            self._failures = 0
            self._first_failure = now
        self._failures += 1
        if self._failures >= self._limits.failures:
            self._open(reason)

    def trip(self, reason: str, seconds: float) -> None:
        """Opens at once, for what only an administrator can mend (`invalid_client`)."""
        until = self._monotonic() + seconds
        self._open_until = max(until, self._open_until or until)
        self._probe_until = None
        self._failures = 0
        self.reason = reason

    def _open(self, reason: str) -> None:
        # The exponent is bounded before the power is taken: a provider may stay away for weeks.
        seconds = self._limits.first * 2.0 ** min(self._openings, 32)
        self._openings += 1
        self._open_until = self._monotonic() + min(seconds, self._limits.longest)
        self._probe_until = None
        self._failures = 0
        self.reason = reason

    def _unavailable(self, seconds: float) -> Unavailable:
        retry_after = max(1, math.ceil(seconds))
        return Unavailable(
            "provider_unavailable",
            f"{self._title} does not answer properly at the moment, so calls to it wait. "
            f"Try again in {retry_after} seconds.",
            retry_after=retry_after,
        )


class Breakers:
    """One breaker for each key, such as (tenant, provider); the longest unused is forgotten at the bound."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        bound: int = 10_000,
    ) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._bound = bound
        self._breakers: OrderedDict[Hashable, Breaker] = OrderedDict()

    def get(self, key: Hashable) -> Breaker:
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._breakers[key] = Breaker(limits=self._limits, monotonic=self._monotonic)
            while len(self._breakers) > self._bound:
                self._breakers.popitem(last=False)
        self._breakers.move_to_end(key)
        return breaker

    def __len__(self) -> int:
        return len(self._breakers)
