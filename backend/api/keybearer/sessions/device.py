"""Says which device a session is on, in words a person recognises; no fingerprint, only what the browser says."""

import ipaddress

from keybearer.kit import addresses

_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python-httpx", "A Python program"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
# What people call private; Python's `is_private` has documentation and other special addresses too.
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
        "fe80::/10",
    )
)


def describe(user_agent: str) -> str:
    """For example "Firefox on Linux"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "Unknown browser")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    return f"{browser} on {system}" if system else browser


def place(address: str | None) -> str:
    """Where a session was opened from, as far as its address tells."""
    parsed = addresses.parse(address)
    if parsed is None:
        return "Unknown"
    if parsed.is_loopback:
        return "This computer"
    return "Private network" if any(parsed in network for network in _PRIVATE) else str(parsed)
