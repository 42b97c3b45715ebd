"""How far sealing is behind."""

from prometheus_client import Gauge

UNSEALED = Gauge(
    "keybearer_ledger_unsealed", "Ledger rows that are in no signed batch yet.", multiprocess_mode="livemax"
)
UNSEALED_AGE = Gauge(
    "keybearer_ledger_unsealed_oldest_seconds",
    "Age of the oldest ledger row that is in no signed batch yet.",
    multiprocess_mode="livemax",
)
