"""The cache rule R3 as a model: processes, a lossy and slow network to the database, and time.

The model keeps what is true (when each token was revoked) and drives real `BearerCache`s with heartbeats and
notifications that are sent, delayed, lost or answered. Whatever happens, no answer is served 700 ms after its
revocation was committed.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from keybearer.kit.listener import FRESH_SECONDS
from keybearer.sessions.cache import BearerCache
from keybearer.sessions.model import Resolved

TOKENS = [bytes([n]) * 32 for n in range(3)]
USERS = [UUID(int=1), UUID(int=1), UUID(int=2)]
START = datetime(2026, 1, 1, tzinfo=UTC)


def resolved(number: int) -> Resolved:
    return Resolved(
        kind="session",
        digest=TOKENS[number],
        tenant_id=UUID(int=9),
        tenant_name="t",
        subject_id=UUID(int=100 + number),
        user_id=USERS[number],
        expires_at=START + timedelta(days=30),
        disabled=False,
        email=None,
        name="n",
        avatar_url=None,
        role="member",
        authenticated_at=START,
        last_seen_at=START,
    )


@dataclass
class Process:
    """One process: its cache, and the connection that notifications and heartbeats share, in order."""

    machine: "CacheRule"
    proved_at: float = float("-inf")
    wire: list[tuple[str, object]] = field(default_factory=list)
    queries: list[tuple[int, int]] = field(default_factory=list)
    cache: BearerCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = BearerCache(
            fresh=lambda: self.machine.now - self.proved_at <= FRESH_SECONDS,
            clock=lambda: self.machine.now,
            wall=lambda: START.timestamp() + self.machine.now,
            max_entries=2,
        )


class CacheRule(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.revoked: dict[int, float] = {}
        self.processes = [Process(self), Process(self)]

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.69, 0.8, 5.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(number=st.sampled_from([0, 1]))
    def send_heartbeat(self, number: int) -> None:
        process = self.processes[number]
        process.wire.append(("heartbeat", self.now))

    @rule(number=st.sampled_from([0, 1]), count=st.integers(1, 4))
    def deliver(self, number: int, count: int) -> None:
        """What is on the wire arrives in order: the protocol's promise that the rule stands on."""
        process = self.processes[number]
        for _ in range(min(count, len(process.wire))):
            kind, value = process.wire.pop(0)
            if kind == "heartbeat":
                process.proved_at = float(value)  # type: ignore[arg-type]  # a heartbeat carries its time
            else:
                process.cache.notified(kind, str(value))

    @rule(number=st.sampled_from([0, 1]))
    def lose_connection(self, number: int) -> None:
        process = self.processes[number]
        process.wire.clear()
        process.proved_at = float("-inf")
        process.cache.disconnected()

    @rule(token=st.sampled_from([0, 1, 2]), whole_person=st.booleans())
    def revoke(self, token: int, whole_person: bool) -> None:
        ended = [n for n in range(3) if n == token or (whole_person and USERS[n] == USERS[token])]
        for each in ended:
            self.revoked.setdefault(each, self.now)
        note = ("user", USERS[token]) if whole_person else ("token", TOKENS[token].hex())
        for process in self.processes:
            process.wire.append(note)

    @rule(number=st.sampled_from([0, 1]), token=st.sampled_from([0, 1, 2]))
    def begin_query(self, number: int, token: int) -> None:
        """The database answers what is true at this moment; the answer is on its way for some time."""
        if token not in self.revoked:
            process = self.processes[number]
            process.queries.append((token, process.cache.generation))

    @precondition(lambda self: any(process.queries for process in self.processes))
    @rule(data=st.data())
    def query_answers(self, data: st.DataObject) -> None:
        process = data.draw(st.sampled_from([p for p in self.processes if p.queries]))
        token, generation = process.queries.pop(data.draw(st.integers(0, len(process.queries) - 1)))
        process.cache.put(resolved(token), generation)

    @invariant()
    def nothing_is_served_after_revocation_plus_freshness(self) -> None:
        for process in getattr(self, "processes", ()):
            for token, at in self.revoked.items():
                served = process.cache.get(TOKENS[token]) is not None
                assert not (served and self.now > at + FRESH_SECONDS + 1e-9)


CacheRule.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCacheRule = CacheRule.TestCase
