"""The breaker: an example of each rule, then a model against the real one."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from keybearer.kit.breaker import Breaker, Breakers, Limits
from keybearer.kit.errors import Unavailable

LIMITS = Limits(failures=3, window=10, first=5, longest=40, probe=7)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("Spotify", limits=LIMITS, monotonic=clock)


def fail(breaker: Breaker, times: int = 3) -> None:
    for _ in range(times):
        breaker.failed()


def test_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.check()
    breaker.failed()
    with pytest.raises(Unavailable) as refused:
        breaker.check()
    assert (refused.value.code, refused.value.retry_after) == ("provider_unavailable", 5)
    assert "Spotify" in refused.value.detail


def test_a_success_between_starts_the_count_again(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    breaker.check()


def test_failures_far_apart_do_not_add_up(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 2)
    clock.now += 11
    fail(breaker, 2)
    breaker.check()


def test_one_caller_tries_and_its_success_closes(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += 5
    assert breaker.state == "half_open"
    breaker.check()
    with pytest.raises(Unavailable):
        breaker.check()
    breaker.succeeded()
    breaker.check()
    breaker.check()


def test_stays_open_twice_as_long_each_time_up_to_the_cap(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    waits = []
    for _ in range(5):
        with pytest.raises(Unavailable) as refused:
            breaker.check()
        assert refused.value.retry_after is not None
        waits.append(refused.value.retry_after)
        clock.now += refused.value.retry_after
        breaker.check()
        breaker.failed()
    assert waits == [5, 10, 20, 40, 40]


def test_a_probe_that_never_tells_does_not_block_for_ever(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += 5
    breaker.check()
    clock.now += 7
    breaker.check()


def test_a_late_success_does_not_close_what_has_opened_since(breaker: Breaker) -> None:
    fail(breaker)
    breaker.succeeded()
    assert breaker.state == "open"


def test_trips_at_once_and_says_why(breaker: Breaker, clock: Clock) -> None:
    breaker.trip("invalid_client", 60)
    assert (breaker.state, breaker.reason) == ("open", "invalid_client")
    clock.now += 60
    breaker.check()
    breaker.succeeded()
    assert breaker.reason is None


def test_each_key_has_its_own(clock: Clock) -> None:
    breakers = Breakers(limits=LIMITS, monotonic=clock)
    fail(breakers.get(("t1", "spotify")))
    with pytest.raises(Unavailable):
        breakers.get(("t1", "spotify")).check()
    breakers.get(("t2", "spotify")).check()
    breakers.get(("t1", "google")).check()


def test_forgets_the_longest_unused_at_the_bound(clock: Clock) -> None:
    breakers = Breakers(limits=LIMITS, monotonic=clock, bound=2)
    first = breakers.get("a")
    second = breakers.get("b")
    assert breakers.get("a") is first
    breakers.get("c")
    assert len(breakers) == 2
    assert breakers.get("a") is first
    assert breakers.get("b") is not second


class BreakerModel(RuleBasedStateMachine):
    """The rules restated over the list of what happened, in place of counters."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(limits=LIMITS, monotonic=self.clock)
        self.streak: list[float] = []
        self.openings = 0
        self.closed = True
        self.opened_until = 0.0
        self.probed_at: float | None = None

    def expected(self) -> str:
        if self.closed:
            return "closed"
        return "open" if self.clock.now < self.opened_until else "half_open"

    def expect_open(self) -> None:
        self.opened_until = self.clock.now + min(LIMITS.first * 2**self.openings, LIMITS.longest)
        self.openings += 1
        self.closed = False
        self.streak = []
        self.probed_at = None

    @rule(seconds=st.floats(0, 60))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def fails(self) -> None:
        state = self.expected()
        self.breaker.failed()
        if state == "half_open":
            self.expect_open()
        elif state == "closed":
            if self.streak and self.clock.now - self.streak[0] > LIMITS.window:
                self.streak = []
            self.streak.append(self.clock.now)
            if len(self.streak) == LIMITS.failures:
                self.expect_open()

    @rule()
    def succeeds(self) -> None:
        state = self.expected()
        self.breaker.succeeded()
        if state != "open":
            self.closed, self.openings, self.streak, self.probed_at = True, 0, [], None

    @rule(seconds=st.floats(1, 100))
    def trips(self, seconds: float) -> None:
        until = self.clock.now + seconds
        self.opened_until = until if self.closed else max(until, self.opened_until)
        self.closed, self.streak, self.probed_at = False, [], None
        self.breaker.trip("invalid_client", seconds)

    @rule()
    def asks(self) -> None:
        state = self.expected()
        probing = self.probed_at is not None and self.clock.now < self.probed_at + LIMITS.probe
        if state == "closed" or (state == "half_open" and not probing):
            self.breaker.check()
            if state == "half_open":
                self.probed_at = self.clock.now
        else:
            with pytest.raises(Unavailable) as refused:
                self.breaker.check()
            assert refused.value.retry_after is not None
            assert 1 <= refused.value.retry_after <= 101

    @invariant()
    def agrees(self) -> None:
        assert self.breaker.state == self.expected()


TestBreakerModel = BreakerModel.TestCase
