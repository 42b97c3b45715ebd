"""Last use of sessions and API keys: kept in memory and written now and then; a write each would cost more than the
request.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from keybearer.sessions.model import Resolved

_WORTH_WRITING = timedelta(seconds=60)

Uses = dict[UUID, dict[UUID, datetime]]


class LastSeen:
    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._sessions: Uses = defaultdict(dict)
        self._api_keys: Uses = defaultdict(dict)

    def note(self, resolved: Resolved) -> None:
        now = self._now()
        if resolved.last_seen_at is None or now - resolved.last_seen_at >= _WORTH_WRITING:
            seen = self._api_keys if resolved.kind == "api_key" else self._sessions
            seen[resolved.tenant_id][resolved.subject_id] = now

    def take(self) -> Uses:
        """What is to be written of sessions, by tenant, and forgets it."""
        taken, self._sessions = self._sessions, defaultdict(dict)
        return taken

    def take_api_keys(self) -> Uses:
        taken, self._api_keys = self._api_keys, defaultdict(dict)
        return taken
