"""When connections were last used, kept in memory until it is written: a write per call would cost too much."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID


class Usage:
    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._used: dict[tuple[UUID, UUID], datetime] = {}

    def used(self, tenant_id: UUID, connection_id: UUID) -> None:
        self._used[tenant_id, connection_id] = self._clock()

    def take(self) -> dict[tuple[UUID, UUID], datetime]:
        taken, self._used = self._used, {}
        return taken

    def give_back(self, taken: dict[tuple[UUID, UUID], datetime]) -> None:
        """What could not be written; newer uses win."""
        self._used = taken | self._used
