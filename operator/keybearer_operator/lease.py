"""Of two operators at once, one acts: a Lease of coordination.k8s.io.

The holder counts its time from before it asked for it, the others from when they saw it change, each by its own
monotonic clock: no clock of a machine is believed. Between the holder's end and the others' beginning lies a third of
the Lease's time, for writes that were sent in time and are still under way; what must never happen twice has a
resourceVersion as a precondition besides.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from prometheus_client import Gauge

from keybearer_operator import names
from keybearer_operator.kube import LEASES, ApiError, Conflict, Kube, Object

log = structlog.get_logger(__name__)

SECONDS: Final = 12

_LEADING = Gauge("keybearer_operator_leading", "1 where this process holds the Lease and acts.")


class NotLeading(Exception):
    """Another operator acts, or may. Nothing was done."""


@dataclass(slots=True)
class _Seen:
    version: str
    at: float


class Lease:
    """Held for two thirds of `seconds` after each renewal, and renewed every sixth."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        *,
        name: str = names.MANAGER,
        identity: str | None = None,
        seconds: int = SECONDS,
    ) -> None:
        self._kube = kube
        self._seconds = seconds
        self._namespace = namespace
        self._name = name
        self.identity = identity or f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"
        self._held_until = 0.0
        self._held = asyncio.Event()
        self._seen: _Seen | None = None

    def held(self) -> bool:
        return time.monotonic() < self._held_until

    def require(self) -> None:
        """Raises NotLeading. Called before each write that cannot be taken back."""
        if not self.held():
            raise NotLeading("this operator does not hold the Lease")

    async def wait_held(self) -> None:
        while not self.held():
            self._held.clear()
            await self._held.wait()

    async def keep(self) -> None:
        """Asks for the Lease, and renews it, until cancelled; then gives it back, so that a successor need not wait."""
        try:
            while True:
                await self._renew()
                await asyncio.sleep(self._seconds / 6)
        finally:
            await self._release()

    async def _renew(self) -> None:
        was_held = self.held()
        asked = time.monotonic()
        try:
            # Shorter than the Lease, so that one lost answer does not cost it. Not wait_for, which in Python 3.11 goes
            # on although it is cancelled, when the answer comes at that moment: then nobody could take over.
            async with asyncio.timeout(self._seconds / 3):
                taken = await self._take(asked)
        except (ApiError, TimeoutError) as error:
            log.warning("lease.not_renewed", error=str(error) or type(error).__name__, held=was_held)
            taken = False
        if taken:
            self._held_until = asked + self._seconds * 2 / 3
            self._held.set()
        if self.held() != was_held:
            log.info("lease.taken" if self.held() else "lease.lost", name=self._name, identity=self.identity)
        _LEADING.set(self.held())

    async def _take(self, asked: float) -> bool:
        lease = await self._kube.find(LEASES, self._namespace, self._name)
        try:
            if lease is None:
                await self._kube.create(LEASES, self._namespace, self._document({}))
                return True
            if not self._may_take(lease, asked):
                return False
            await self._kube.replace(LEASES, self._namespace, self._document(lease))
        except Conflict:
            return False
        return True

    def _may_take(self, lease: Object, now: float) -> bool:
        spec = lease.get("spec", {})
        if spec.get("holderIdentity") in {None, "", self.identity}:
            return True
        version = lease["metadata"]["resourceVersion"]
        if self._seen is None or self._seen.version != version:
            self._seen = _Seen(version, time.monotonic())
        lasts: float = spec.get("leaseDurationSeconds", self._seconds)
        return now - self._seen.at > lasts

    def _document(self, lease: Object) -> Object:
        """Renewed or taken over, with the resourceVersion that was read: of two that ask, one gets it."""
        spec = lease.get("spec", {})
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = spec.get("holderIdentity") == self.identity
        return {
            "metadata": lease.get("metadata", {"name": self._name, "namespace": self._namespace}),
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": self._seconds,
                "acquireTime": spec.get("acquireTime", moment) if ours else moment,
                "renewTime": moment,
                "leaseTransitions": spec.get("leaseTransitions", 0) + (0 if ours or not lease else 1),
            },
        }

    async def _release(self) -> None:
        if not self.held():
            return
        self._held_until = 0.0
        with contextlib.suppress(ApiError):  # it expires by itself
            lease = await self._kube.get(LEASES, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"]["holderIdentity"] = ""
                await self._kube.replace(LEASES, self._namespace, lease)
