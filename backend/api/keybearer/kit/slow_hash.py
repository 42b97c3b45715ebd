"""Argon2id (RFC 9106) in threads of low priority, so that hashing takes neither the event loop nor the cores.

Parameters are OWASP's least: 19 MiB, two passes, one lane. They are part of each hash, so that they can grow.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from keybearer.kit.errors import Unavailable

_NICENESS = 10
_WAITING_LIMIT = 64

T = TypeVar("T")


class SlowHash:
    """One thread fewer than there are cores, at least one; what would wait behind too many others is refused."""

    def __init__(self, *, threads: int | None = None, waiting: int = _WAITING_LIMIT) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
        count = threads or max(1, (os.cpu_count() or 1) - 1)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="slow-hash", initializer=_be_nice)
        self._waiting = waiting
        self._pending = 0

    async def hash(self, text: str) -> str:
        """Raises Unavailable("overloaded")."""
        return await self._run(lambda: self._hasher.hash(text))

    async def verify(self, hashed: str, text: str) -> bool:
        """Raises Unavailable("overloaded")."""
        return await self._run(lambda: self._matches(hashed, text))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, hashed: str, text: str) -> bool:
        try:
            return self._hasher.verify(hashed, text)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self._waiting:
            raise Unavailable("overloaded", "Too many codes are being checked at once. Try again.", retry_after=2)
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._pending -= 1


def _be_nice() -> None:
    """Of this thread alone, where the system knows such a thing (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS, 19))
