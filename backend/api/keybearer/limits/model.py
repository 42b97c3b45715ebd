"""The rules: what a limit is, who counts as one, and what is counted by which.

A limit is a moving window: of the last second (minute, hour) at most so many. Requests have a second, wider window on
top, out of which a burst is paid, so that a page may load its parts at once and nobody may go on like that.
"""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from limits import RateLimitItem, parse

from keybearer.kit import addresses

_BURST_FACTOR = 2
_BURST_UNITS = 10
_IPV6_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """Windows that are asked in this order; the first with room lets through, and alone counts the request."""

    windows: tuple[RateLimitItem, ...]


def strict(limit: str) -> Rule:
    """`limit` is written like `5/minute`."""
    return Rule((parse(limit),))


def with_burst(limit: str) -> Rule:
    """`10/second` lets 10 a second through, and 20 more in any 10 seconds."""
    amount, _, unit = limit.partition("/")
    return Rule((parse(limit), parse(f"{int(amount) * _BURST_FACTOR} per {_BURST_UNITS} {unit}")))


def of_address(address: str | None) -> str:
    """Whoever has an IPv6 address has a network of them (RFC 6177), so that they count by /64."""
    parsed = addresses.parse(address)
    if parsed is None:
        return "address:unknown"
    return f"address:{parsed if parsed.version == 4 else addresses.network(parsed, _IPV6_BLOCK).network_address}"


def of_account(tenant_id: UUID, email: str) -> str:
    """Emails are personal and never a key: only a digest that is bound to the tenant."""
    return "account:" + hashlib.sha256(f"{tenant_id}|{email.strip().lower()}".encode()).hexdigest()


def of_token(digest: bytes) -> str:
    return f"token:{digest.hex()}"
