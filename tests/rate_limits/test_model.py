"""Who counts as one, and what a limit in words lets through."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.kit import settings
from keybearer.kit.errors import ConfigurationError
from keybearer.limits import model

TENANT, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("::ffff:203.0.113.1", "::ffff:203.0.113.2", False),
        (None, "testclient", True),
    ],
)
def test_what_is_one_address(one: str | None, two: str | None, same: bool) -> None:
    assert (model.of_address(one) == model.of_address(two)) is same


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_network_of_64_bits_is_one(address, host: int) -> None:
    neighbour = type(address)((int(address) >> 64 << 64) | host)
    if address.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert model.of_address(str(address)) == model.of_address(str(neighbour))


def test_accounts_are_told_apart_by_tenant_and_never_named() -> None:
    key = model.of_account(TENANT, "Dora@Example.com ")

    assert key == model.of_account(TENANT, "dora@example.com")
    assert key != model.of_account(OTHER, "dora@example.com")
    assert "dora" not in key.lower()


def test_a_burst_is_twice_the_limit_in_ten_times_the_time() -> None:
    rate, burst = model.with_burst("10/second").windows

    assert (rate.amount, rate.get_expiry()) == (10, 1)
    assert (burst.amount, burst.get_expiry()) == (20, 10)
    assert [(each.amount, each.get_expiry()) for each in model.strict("5/minute").windows] == [(5, 60)]


@pytest.mark.parametrize("name", ["SIGN_IN_LIMIT", "REQUEST_LIMIT"])
@pytest.mark.parametrize(
    "value", ["5", "0/minute", "5/day", "-1/second", "5/minute;1/hour", "five/minute", "5 /minute"]
)
def test_a_limit_that_cannot_be_read_stops_the_start(name: str, value: str) -> None:
    required = {"PUBLIC_URL": "http://localhost", "DATABASE_URL": "x", "KEYRING_DIR": "k", "SIGNING_KEYRING_DIR": "s"}
    given = {f"KEYBEARER_{key}": text for key, text in (required | {name: value}).items()}
    with pytest.raises(ConfigurationError, match=f"KEYBEARER_{name} must look like"):
        settings.read(given)


@pytest.mark.parametrize("value", ["valkey", "http://valkey:6379", "valkey://", "valkey://host:0", "valkey://h:port"])
def test_an_address_of_no_valkey_stops_the_start(value: str) -> None:
    required = {"PUBLIC_URL": "http://localhost", "DATABASE_URL": "x", "KEYRING_DIR": "k", "SIGNING_KEYRING_DIR": "s"}
    given = {f"KEYBEARER_{key}": text for key, text in (required | {"VALKEY_URL": value}).items()}
    with pytest.raises(ConfigurationError, match="KEYBEARER_VALKEY_URL must look like"):
        settings.read(given)
