"""Addresses of whoever calls, as a server hears them."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse(text: str | None) -> Address | None:
    """An IPv4 address that is written as IPv6 counts as what it is; a zone is left out. None for what is no address."""
    try:
        parsed = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def network(address: Address, bits: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The one of so many bits that it is in."""
    return ipaddress.ip_network(f"{address}/{bits}", strict=False)
