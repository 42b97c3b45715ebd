"""Attempts to sign in."""

from prometheus_client import Counter

ATTEMPTS = Counter("keybearer_auth_attempts_total", "Attempts to sign in.", ("method", "outcome"))
