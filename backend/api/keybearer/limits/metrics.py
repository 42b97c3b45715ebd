"""What was refused, and whether processes count together."""

from prometheus_client import Counter, Gauge

REFUSED = Counter("keybearer_rate_limited_total", "Requests refused because they came too often.", ("limit",))
ALONE = Gauge(
    "keybearer_rate_limits_alone",
    "1 while Valkey does not answer and each process counts for itself.",
    multiprocess_mode="livemax",
)
