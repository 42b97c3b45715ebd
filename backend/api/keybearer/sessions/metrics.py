"""How often a bearer secret was answered from memory."""

from prometheus_client import Counter, Gauge

CACHE = Counter("keybearer_session_cache_requests_total", "Bearer look-ups.", ("result",))
ACTIVE = Gauge("keybearer_sessions_active", "Sessions that are neither expired nor ended.", multiprocess_mode="livemax")
