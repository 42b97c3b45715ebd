"""Proxied calls as Prometheus sees them. `provider` is a name of the catalogue, so labels are bounded."""

from prometheus_client import Counter

REQUESTS = Counter("keybearer_proxy_requests_total", "Calls of agents, by how they ended.", ("provider", "outcome"))
