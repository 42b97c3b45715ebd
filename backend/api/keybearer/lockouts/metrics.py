"""Locks."""

from prometheus_client import Counter

LOCKOUTS = Counter("keybearer_account_lockouts_total", "Locks that wrong guesses brought about.")
