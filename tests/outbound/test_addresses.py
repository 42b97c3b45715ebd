"""Which addresses count as the public internet."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.kit import outbound

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.8.8.8",
    "169.254.169.254", "168.63.129.16", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "100::1", "2001::1", "2001:db8::1", "3fff::1", "64:ff9b:1::1", "5f00::1",
    "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "2002:0a00:0001::1", "2002:7f00:0001::", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1", "223.255.255.255",
    "168.63.129.17", "2606:4700:4700::1111", "2a00:1450:4001:830::200e", "2620:fe::fe",
    "::ffff:8.8.8.8", "2002:0808:0808::1", "64:ff9b::8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_refuses(address: str) -> None:
    assert not outbound.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_permits(address: str) -> None:
    assert outbound.is_public(ipaddress.ip_address(address))


def _holds_ipv4(address: ipaddress.IPv6Address) -> bool:
    """Mapped and NAT64 addresses, which have tests of their own."""
    return address in ipaddress.ip_network("::/16") or address in ipaddress.ip_network("64:ff9b::/96")


@given(st.ip_addresses(v=4))
def test_is_never_laxer_than_the_standard_library(address: ipaddress.IPv4Address) -> None:
    if outbound.is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_is_never_laxer_than_the_standard_library_for_ipv6(address: ipaddress.IPv6Address) -> None:
    if outbound.is_public(address) and not _holds_ipv4(address):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


_PREFIXES = {"mapped": 0xFFFF << 32, "nat64": int(ipaddress.IPv6Address("64:ff9b::"))}


@given(st.ip_addresses(v=4), st.sampled_from(sorted(_PREFIXES)))
def test_an_address_inside_an_address_is_judged_by_the_inner_one(inner: ipaddress.IPv4Address, form: str) -> None:
    outer = ipaddress.IPv6Address(_PREFIXES[form] | int(inner))
    assert outbound.is_public(outer) == outbound.is_public(inner)


@given(st.ip_addresses(v=4), st.integers(0, 2**80 - 1))
def test_6to4_is_judged_by_the_inner_address(inner: ipaddress.IPv4Address, rest: int) -> None:
    outer = ipaddress.IPv6Address((0x2002 << 112) | (int(inner) << 80) | rest)
    assert outbound.is_public(outer) == outbound.is_public(inner)
