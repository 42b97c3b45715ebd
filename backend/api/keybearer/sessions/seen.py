"""Last use of sessions: kept in memory and written now and then; a write each would cost more than the request."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from keybearer.sessions.model import Resolved

_WORTH_WRITING = timedelta(seconds=60)


class LastSeen:
    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._seen: dict[UUID, tuple[UUID, datetime]] = {}

    def note(self, resolved: Resolved) -> None:
        now = self._now()
        if resolved.last_seen_at is None or now - resolved.last_seen_at >= _WORTH_WRITING:
            self._seen[resolved.subject_id] = (resolved.tenant_id, now)

    def take(self) -> dict[UUID, dict[UUID, datetime]]:
        """What is to be written, by tenant, and forgets it."""
        taken, self._seen = self._seen, {}
        by_tenant: dict[UUID, dict[UUID, datetime]] = {}
        for session_id, (tenant_id, at) in taken.items():
            by_tenant.setdefault(tenant_id, {})[session_id] = at
        return by_tenant
