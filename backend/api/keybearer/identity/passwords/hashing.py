"""Hashes and verifies passwords in few threads that give way to everything else.

Argon2id is slow and large on purpose. On the event loop one sign-in would stop all requests, and unbounded threads
would take memory and cores away from everybody who is signed in already. So there are as many threads as cores less
one, they are niced, and when too many wait, the next one is told to come back.
"""

import asyncio
import base64
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from keybearer.identity.passwords import foreign
from keybearer.kit.errors import TooMany

T = TypeVar("T")

TIME_COST = 2
MEMORY_KIB = 19 * 1024
PARALLELISM = 1
_HASH_BYTES = 32
_SALT_BYTES = 16
_NICE = 10
_MOST_WAITING = 256
_MOST_MEMORY_KIB = 256 * 1024
_MOST_WORK_KIB = 4 * _MOST_MEMORY_KIB


class Hashing:
    def __init__(self, *, workers: int | None = None, waiting: int = _MOST_WAITING) -> None:
        self._hasher = PasswordHasher(
            time_cost=TIME_COST,
            memory_cost=MEMORY_KIB,
            parallelism=PARALLELISM,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        self._pool = ThreadPoolExecutor(workers or _spare_cores(), "passwords", initializer=_give_way)
        self._room = waiting
        self._nobodys = _hash_of_nothing()

    async def hash(self, password: str) -> str:
        """Raises TooMany("busy"), as everything here does."""
        return await self.run(self._hasher.hash, password)

    async def verify(self, password: str, encoded: str | None) -> bool:
        """None is the hash of an account that is not there: it takes as long as any other, and never fits."""
        return await self.run(self._verify, password, encoded or self._nobodys) and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Whether the next sign-in should hash it again: it was imported, or the parameters have changed since."""
        try:
            return self._hasher.check_needs_rehash(encoded)
        except InvalidHashError:
            return True

    @staticmethod
    def is_usable(encoded: str) -> bool:
        """Whether a hash from elsewhere could ever be verified here, at a cost within reason."""
        if not encoded.startswith("$argon2"):
            return foreign.is_usable(encoded)
        try:
            costs = extract_parameters(encoded)
        except InvalidHashError:
            return False
        return costs.memory_cost <= _MOST_MEMORY_KIB and costs.time_cost * costs.memory_cost <= _MOST_WORK_KIB

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """A caller that goes away leaves its place only when the work is done."""
        if self._room <= 0:
            raise TooMany("busy", "Too many people sign in at this moment. Try again in a few seconds.", retry_after=2)
        self._room -= 1
        running = asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        running.add_done_callback(self._make_room)
        return await asyncio.shield(running)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make_room(self, done: "asyncio.Future[Any]") -> None:
        self._room += 1
        if not done.cancelled():
            done.exception()  # seen, also where the caller went away

    def _verify(self, password: str, encoded: str) -> bool:
        if not encoded.startswith("$argon2"):
            return foreign.verify(password, encoded)
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False


def _spare_cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _give_way() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _hash_of_nothing() -> str:
    """The form of a hash, without the work of making one."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=") for length in (_SALT_BYTES, _HASH_BYTES)
    )
    return f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}${salt}${digest}"
