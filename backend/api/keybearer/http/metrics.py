"""Requests as Prometheus sees them; labels are route templates, never paths."""

from prometheus_client import Counter, Histogram

REQUESTS = Counter("keybearer_http_requests_total", "Requests answered.", ("route", "method", "status"))
DURATIONS = Histogram(
    "keybearer_http_request_duration_seconds",
    "Time from the request's head to the answer's end.",
    ("route", "method", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def method_label(method: str) -> str:
    return method if method in _METHODS else "other"
