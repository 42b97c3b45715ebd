"""What operators see of the vault."""

from prometheus_client import Counter, Gauge

REFRESHES = Counter(
    "keybearer_token_refreshes_total", "Refreshes that ended, by how they ended.", ("provider", "outcome")
)
CONNECTIONS = Gauge(
    "keybearer_connections",
    "Connections of the whole installation; one process reports them, so take the maximum.",
    ("provider", "state"),
    multiprocess_mode="livemax",
)
UNVERIFIED = Gauge(
    "keybearer_connections_unverified",
    "Connections of a restored backup whose refresh token was not tried yet.",
    multiprocess_mode="livemax",
)
