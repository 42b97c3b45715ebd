"""Where hits are counted: in Valkey for all processes together, in memory while there is none or it is away.

Valkey holds nothing that is needed. What it loses is forgotten, and what it is too slow to say is decided here: an
answer is waited for 100 ms at most, and after two failures nobody waits but one caller now and then who tries.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from valkey.exceptions import ValkeyError

from keybearer.kit import breaker
from keybearer.kit.breaker import Breaker
from keybearer.kit.errors import Unavailable
from keybearer.limits import metrics
from keybearer.limits.memory import BoundedMemory

_SECONDS = 0.1
_PREFIX = "keybearer"
_BREAKER = breaker.Limits(failures=2, window=10.0, first=1.0, longest=5.0, probe=1.0)

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Windows:
    def __init__(self, valkey_url: str | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Opens nothing: the first hit connects."""
        self._clock = clock
        self._local = MovingWindowRateLimiter(BoundedMemory(clock=clock))
        self._storage = _shared(valkey_url) if valkey_url else None
        self._shared = MovingWindowRateLimiter(self._storage) if self._storage else None
        self._breaker = Breaker("Valkey", limits=_BREAKER)
        self._alone = False

    async def hit(self, window: RateLimitItem, key: str) -> bool:
        """Counts one more, or answers False where there is no room; what is refused is not counted."""
        return await self._ask(lambda limiter: limiter.hit(window, key))

    async def has_room(self, window: RateLimitItem, key: str) -> bool:
        return await self._ask(lambda limiter: limiter.test(window, key))

    async def wait(self, window: RateLimitItem, key: str) -> int:
        """Whole seconds until there is room again, at least 1."""
        reset, _ = await self._ask(lambda limiter: limiter.get_window_stats(window, key))
        return min(max(1, math.ceil(reset - self._clock())), window.get_expiry())

    async def aclose(self) -> None:
        if self._storage is not None:
            # Only the bridge of the client in use has this.
            await self._storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]

    async def _ask(self, question: Callable[[MovingWindowRateLimiter], Awaitable[T]]) -> T:
        if self._storage is None or self._shared is None or not self._may_try():
            return await question(self._local)
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await question(self._shared)
        except (ValkeyError, OSError, TimeoutError) as error:
            self._failed(error)
            return await question(self._local)
        self._answered()
        return answer

    def _may_try(self) -> bool:
        try:
            self._breaker.check()
        except Unavailable:
            return False
        return True

    def _failed(self, error: Exception) -> None:
        self._breaker.failed(type(error).__name__)
        if not self._alone and self._breaker.state == "open":
            self._alone = True
            metrics.ALONE.set(1)
            log.warning("rate_limits.valkey.lost", reason=self._breaker.reason)

    def _answered(self) -> None:
        self._breaker.succeeded()
        if self._alone and self._breaker.state == "closed":
            self._alone = False
            metrics.ALONE.set(0)
            log.info("rate_limits.valkey.back")


def _shared(url: str) -> RedisStorage:
    """Valkey's own client speaks to Redis too."""
    return RedisStorage(
        f"async+{url}",
        implementation="valkey",
        key_prefix=_PREFIX,
        socket_timeout=_SECONDS,
        socket_connect_timeout=_SECONDS,
    )
