"""Says which device a session is on, in words a person recognises; no fingerprint, only what the browser says."""

import ipaddress

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


def describe(user_agent: str) -> str:
    """For example "Firefox on Linux"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "Unknown browser")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    return f"{browser} on {system}" if system else browser


def place(address: str | None) -> str:
    """Where a session was opened from, as far as its address tells."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "Unknown"
    if parsed.is_loopback:
        return "This computer"
    return "Private network" if parsed.is_private else str(parsed)
