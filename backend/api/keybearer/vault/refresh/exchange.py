"""One lease's conversation with the provider: what to send again, when to give up, what a refusal means (R4.3, R4.6-8).

Nothing here touches the database but through `hold`, which proves before each sending that the lease is still ours.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from keybearer.kit import faults
from keybearer.kit.breaker import Breaker
from keybearer.kit.errors import Unavailable
from keybearer.providers.model import Provider
from keybearer.providers.tokens import TokenAnswer, TokenRequestFailed
from keybearer.vault.refresh.pauses import jittered
from keybearer.vault.refresh.timings import Timings
from keybearer.vault.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Answered:
    """`took`: seconds from asking to the answer."""

    answer: TokenAnswer = field(repr=False)
    took: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider takes this credential no more."""

    reason: Literal["invalid_grant", "rotation_lost", "invalid_client"]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """No answer for now. `unknown`: the provider may have rotated the token all the same."""

    outcome: Literal["transient", "unknown", "invalid_client", "other", "not_sent"]
    code: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease went to another, or the connection changed: whoever has it now decides."""


End = Answered | Rejected | GaveUp | Lost


@dataclass(slots=True)
class Exchange:
    """`secret` is the refresh token, or a form's fields for client_credentials."""

    upstream: Upstream
    provider: Provider
    secret: str = field(repr=False)
    breaker: Breaker
    timings: Timings
    hold: Callable[[], Awaitable[bool]]
    closing: Callable[[], bool]
    after_unknown: bool
    unverified: bool = False
    _refused_once: bool = field(default=False, init=False)
    _unknown_waits: Iterator[float] = field(init=False)
    _transient_waits: Iterator[float] = field(init=False)

    def __post_init__(self) -> None:
        self._unknown_waits = iter(self.timings.unknown)
        self._transient_waits = iter(self.timings.transient)

    async def run(self) -> End:
        while True:
            if self.closing():
                return GaveUp("unknown" if self.after_unknown else "not_sent")
            if not await self.hold():
                return Lost()
            try:
                if not self.after_unknown and not self._refused_once:
                    self.breaker.check()
            except Unavailable as error:
                return GaveUp("not_sent", error.code, error.retry_after)
            asked = time.monotonic()
            try:
                answer = await self._send()
            except TokenRequestFailed as error:
                end = await self._failed(error)
                if end is not None:
                    return end
            else:
                self.breaker.succeeded()
                return Answered(answer, time.monotonic() - asked)

    async def _send(self) -> TokenAnswer:
        """Raises TokenRequestFailed alone."""
        await faults.reach("refresh.sending")
        try:
            async with asyncio.timeout(self.timings.call):
                if self.provider.auth == "client_credentials":
                    return await self.upstream.client_credentials(self.provider, json.loads(self.secret))
                return await self.upstream.refresh(self.provider, self.secret)
        except TimeoutError:
            raise TokenRequestFailed("unknown") from None
        except Unavailable as error:  # before anything was sent: discovery, or an address that is refused
            raise TokenRequestFailed("transient", retry_after=error.retry_after) from error

    async def _failed(self, error: TokenRequestFailed) -> End | None:
        """What this failure ends in, or None after the wait before the next attempt."""
        match error.kind:
            case "invalid_grant":
                return await self._refused()
            case "invalid_client":
                return self._client_refused(error)
            case "unknown":
                # A client's own credentials are not used up by asking with them; a refresh token may be.
                self.after_unknown = self.after_unknown or self.provider.auth != "client_credentials"
                self.breaker.failed("no answer")
                return await self._wait(self._unknown_waits, error, "unknown")
            case "transient":
                self.breaker.failed(error.code or "failing")
                if self.after_unknown:
                    return await self._wait(self._unknown_waits, error, "unknown")
                return await self._wait(self._transient_waits, error, "transient")
            case _:
                self.breaker.succeeded()
                return GaveUp("unknown" if self.after_unknown else "other", error.code)

    async def _refused(self) -> End | None:
        self.breaker.succeeded()
        if not await self.hold():
            return Lost()
        if self._refused_once:
            return Rejected("invalid_grant")
        # A token of a backup is not shown a second time: a provider may take that for theft of the whole family.
        if self.after_unknown or self.unverified:
            return Rejected("rotation_lost")
        self._refused_once = True
        await faults.reach("refresh.confirming")
        await asyncio.sleep(self.timings.confirm)
        return None

    def _client_refused(self, error: TokenRequestFailed) -> End:
        if self.provider.auth == "client_credentials":
            return Rejected("invalid_client")  # the client is the person's own, so it is this connection that is dead
        self.breaker.trip(error.code or "invalid_client", self.timings.misconfigured)
        return GaveUp("invalid_client", error.code or "invalid_client", self.timings.misconfigured)

    async def _wait(
        self, waits: Iterator[float], error: TokenRequestFailed, outcome: Literal["transient", "unknown"]
    ) -> End | None:
        wait = next(waits, None)
        wanted = error.retry_after or 0.0
        if wait is None or wanted > self.timings.longest_wait:
            return GaveUp(outcome, error.code, error.retry_after)
        await asyncio.sleep(max(wait if outcome == "unknown" else jittered(wait), wanted))
        return None
