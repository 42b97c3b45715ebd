"""The rule of lockouts, as properties and as a table."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.lockouts.model import RULES, Account, Rule, Source, Tally, counted, locked_for

START = datetime(2026, 11, 23, tzinfo=UTC)
TENANT = UUID("00000000-0000-7000-8000-000000000001")
waits = st.lists(st.integers(0, 100_000), max_size=60)
rules = st.sampled_from(sorted(RULES))


def guess(rule: Rule, tally: Tally | None, now: datetime) -> tuple[Tally | None, bool]:
    """A wrong guess as the service takes it: refused while locked, else counted."""
    if locked_for(tally, now) is not None:
        return tally, False
    return counted(rule, tally, now), True


@given(rules, waits)
def test_between_two_locks_are_five_guesses_at_most(name: str, seconds: list[int]) -> None:
    rule, tally, now, taken = RULES[name], None, START, 0
    for wait in seconds:
        now += timedelta(seconds=wait)
        tally, looked_at = guess(rule, tally, now)
        taken = taken + 1 if looked_at else taken
        assert taken <= rule.tries or not looked_at
        if looked_at and tally is not None and tally.locked_until is not None:
            taken = 0
        if tally is not None and tally.failures == 1:
            taken = 1  # a peace long enough began anew


@given(rules, waits)
def test_a_lock_is_never_shorter_than_the_first_nor_longer_than_the_longest(name: str, seconds: list[int]) -> None:
    rule, tally, now = RULES[name], None, START
    for wait in seconds:
        now += timedelta(seconds=wait)
        before = tally
        tally, looked_at = guess(rule, tally, now)
        if looked_at and tally is not None and tally.locked_until is not None:
            assert rule.first <= tally.locked_until - now <= rule.longest
            assert before is not None, "the first guess never locks"
            assert before.failures == rule.tries - 1


@given(rules, waits)
def test_peace_for_long_enough_undoes_everything(name: str, seconds: list[int]) -> None:
    rule, tally, now = RULES[name], None, START
    for wait in seconds:
        now += timedelta(seconds=wait)
        tally, _ = guess(rule, tally, now)
    if tally is not None:
        now = max(now, tally.locked_until or now) + rule.forgets
        assert counted(rule, tally, now) == counted(rule, None, now)


@given(rules, st.integers(0, 10_000))
def test_any_number_of_locks_is_a_time(name: str, locks: int) -> None:
    rule = RULES[name]
    tally = counted(rule, Tally(rule.tries - 1, locks, START), START)
    assert tally.locked_until is not None
    assert rule.first <= tally.locked_until - START <= rule.longest


def test_locks_double() -> None:
    """Whoever goes on guessing as soon as it is possible again."""
    tally, now, lengths = None, START, []
    for _ in range(9 * 5):
        tally = counted(RULES["totp"], tally, now)
        if tally.locked_until is not None:
            lengths.append((tally.locked_until - now).total_seconds() / 60)
            now = tally.locked_until
    assert lengths == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


def test_recovery_codes_are_tried_five_times_an_hour() -> None:
    tally, now, taken = None, START, []
    while now < START + timedelta(hours=10):
        tally, looked_at = guess(RULES["recovery_code"], tally, now)
        taken += [now] if looked_at else []
        now += timedelta(seconds=30)
    windows = [sum(at <= other < at + timedelta(hours=1) for other in taken) for at in taken]
    assert max(windows) == 5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("203.0.113.9", "::ffff:203.0.113.9", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        (None, "no address", True),
        (None, "203.0.113.9", False),
    ],
)
def test_an_ipv6_address_stands_for_its_network(one: str | None, other: str | None, same: bool) -> None:
    account = Account.of_user(TENANT, uuid4())
    assert (Source(None, one).digests(account) == Source(None, other).digests(account)) is same


def test_sources_of_two_accounts_cannot_be_compared() -> None:
    source = Source("x" * 43, "203.0.113.9")
    one, other = (Account.of_user(TENANT, uuid4()) for _ in range(2))
    assert not set(source.digests(one)) & set(source.digests(other))


def test_accounts_are_told_apart_by_tenant_and_not_by_spelling() -> None:
    assert Account.of_nobody(TENANT, " Dora@Example.com ") == Account.of_nobody(TENANT, "dora@example.com")
    assert Account.of_nobody(TENANT, "dora@example.com") != Account.of_nobody(uuid4(), "dora@example.com")
