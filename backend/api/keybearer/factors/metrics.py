"""Codes of apps."""

from prometheus_client import Counter

TOTP_ATTEMPTS = Counter("keybearer_totp_attempts_total", "Codes of an authenticator app that were tried.", ("outcome",))
