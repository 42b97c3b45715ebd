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
