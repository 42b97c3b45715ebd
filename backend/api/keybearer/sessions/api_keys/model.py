"""An API key, and which requests its scopes open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

DEFAULT_LIFETIME = timedelta(days=90)
LONGEST_LIFETIME = timedelta(days=366)
MOST = 100

# Longest first: a request belongs to the first that it begins with.
_AREAS = (
    ("/api/auth/token", "rooms"),
    ("/api/connections", "connections"),
    ("/api/api-keys", "api-keys"),
    ("/api/grants", "grants"),
    ("/api/ledger", "ledger"),
    ("/api/events", "events"),
    ("/api/auth/", "account"),
)
_READ = ":read"
_SAFE = frozenset({"GET", "HEAD"})
# Who somebody is can be asked with every key.
_ALWAYS = frozenset({"/api/auth/me", "/api/auth/check"})

SCOPES: tuple[str, ...] = tuple(
    sorted(scope for _, area in _AREAS for scope in ((area,) if area == "rooms" else (area, area + _READ)))
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`scopes` None: everything that an API key may."""

    id: UUID
    user_id: UUID
    name: str
    scopes: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


def allows(scopes: Sequence[str] | None, method: str, path: str) -> bool:
    """An area's scope opens all of it, `<area>:read` what only looks. What belongs to no area is open to look at."""
    reads = method in _SAFE
    if scopes is None or (reads and path in _ALWAYS):
        return True
    area = next((area for start, area in _AREAS if path.startswith(start)), None)
    if area is None:
        return reads
    return area in scopes or (reads and area + _READ in scopes)
