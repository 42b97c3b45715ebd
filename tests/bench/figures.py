"""One measured figure, and the arithmetic that all of them share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`met` is None where the design names no target."""

    area: str
    what: str
    value: str
    baseline: str = "–"
    compared: str = "–"
    target: str = "–"
    met: bool | None = None


@dataclass(frozen=True)
class Times:
    """Seconds, one for each call."""

    seconds: Sequence[float]

    def quantile(self, share: float) -> float:
        """The smallest one that at least this share of all does not exceed."""
        ordered = sorted(self.seconds)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    @property
    def p50(self) -> float:
        return self.quantile(0.5)

    @property
    def p99(self) -> float:
        return self.quantile(0.99)


def median_ratio(mine: Sequence[float], baseline: Sequence[float]) -> float:
    """Of rounds in turns: each against its neighbour, so that what slows a while slows both."""
    return median(one / other for one, other in zip(mine, baseline, strict=True))


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


def difference(seconds: float) -> str:
    return ("-" if seconds < 0 else "+") + ms(abs(seconds))
