"""The durations of rule R4 in seconds, in one value, so that a test can be quick without another logic."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """`transient`, `unknown`: waits before further attempts. `longest_wait`: a longer Retry-After ends the lease."""

    call: float = 10.0
    lease: float = 30.0
    caller: float = 12.0
    shutdown: float = 20.0
    confirm: float = 5.0
    unknown: tuple[float, ...] = (1.0, 2.0, 4.0)
    transient: tuple[float, ...] = (0.5, 1.5)
    poll: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
    store: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    longest_wait: float = 4.0
    first_pause: float = 1.0
    longest_pause: float = 60.0
    misconfigured: float = 60.0
