"""One refresh at a time for each connection, in this process by sharing a task and between processes by lease."""

import asyncio
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import structlog

from keybearer.kit.errors import KeybearerError, Unavailable
from keybearer.vault import errors
from keybearer.vault.model import Credential, Sealed
from keybearer.vault.reading import Reader
from keybearer.vault.refresh.pauses import Pauses
from keybearer.vault.refresh.process import Process
from keybearer.vault.refresh.timings import Timings

Why = Literal["expired", "refused", "asked", "ahead"]
_RETRY_AFTER = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Flight:
    seen: int
    why: Why
    task: "asyncio.Task[Credential | KeybearerError]"


class Refresher:
    """Callers wait for a flight with a deadline of their own; a caller that goes away never ends it (R4.1)."""

    def __init__(self, process: Process, reader: Reader, pauses: Pauses, timings: Timings) -> None:
        self._process = process
        self._reader = reader
        self._pauses = pauses
        self._timings = timings
        self._flights: dict[tuple[UUID, UUID], _Flight] = {}

    async def join(self, tenant_id: UUID, connection_id: UUID) -> Credential | None:
        """What the flight brings that this connection's callers must wait for anyway; None where there is none.

        A flight that began while the token was still good (`ahead`, `asked`) makes nobody wait.
        """
        flight = self._flights.get((tenant_id, connection_id))
        if flight is None or flight.why in {"ahead", "asked"}:
            return None
        return await self._result(flight, connection_id)

    async def refresh(self, sealed: Sealed, why: Why) -> Credential:
        """A credential newer than `sealed`, or the typed error that says why there is none."""
        place = (sealed.tenant_id, sealed.connection_id)
        flight = self._flights.get(place)
        if flight is None or flight.seen != sealed.epoch:
            flight = self._start(sealed, why)
        return await self._result(flight, sealed.connection_id)

    async def stop(self) -> None:
        """Begins nothing new, and waits for answers that are not stored yet: they exist nowhere else (R4.4)."""
        self._process.close()
        running = {flight.task for flight in self._flights.values()}
        if not running:
            return
        _done, left = await asyncio.wait(running, timeout=self._timings.shutdown)
        for task in left:
            log.error("vault.refresh.abandoned", task=task.get_name())
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _start(self, sealed: Sealed, why: Why) -> _Flight:
        left = self._pauses.left(sealed.connection_id)
        if left:
            raise self._reader.provider_unavailable(sealed, left)
        place = (sealed.tenant_id, sealed.connection_id)
        task = asyncio.create_task(self._fly(sealed, why), name=f"refresh-{sealed.connection_id}")
        flight = self._flights[place] = _Flight(sealed.epoch, why, task)

        def landed(_task: object) -> None:
            if self._flights.get(place) is flight:
                del self._flights[place]

        task.add_done_callback(landed)
        return flight

    async def _fly(self, sealed: Sealed, why: Why) -> Credential | KeybearerError:
        """Errors that callers understand are values here, because a thousand callers cannot share an exception."""
        try:
            return await self._process.run(sealed, why)
        except KeybearerError as error:
            return error
        except Exception:
            log.exception("vault.refresh.broken", connection=str(sealed.connection_id))
            return errors.provider_unavailable("The provider", self._pauses.failed(sealed.connection_id, None))

    async def _result(self, flight: _Flight, connection_id: UUID) -> Credential:
        done, _ = await asyncio.wait({flight.task}, timeout=self._timings.caller)
        if not done:
            log.warning("vault.refresh.slow", connection=str(connection_id))
            raise errors.refresh_in_progress(_RETRY_AFTER)
        if flight.task.cancelled():
            raise Unavailable("shutting_down", "This process is stopping. Send the request again.", retry_after=1)
        result = flight.task.result()
        if isinstance(result, KeybearerError):
            raise errors.again(result)
        return result
