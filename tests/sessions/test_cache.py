"""What the cache keeps, for how long, and that nothing of what ended stays behind."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from keybearer.sessions.cache import ENTRY_SECONDS, BearerCache
from keybearer.sessions.model import Resolved
from keybearer.sessions.seen import LastSeen

START = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = Resolved(
    kind="session",
    digest=b"\1" * 32,
    tenant_id=UUID(int=9),
    tenant_name="t",
    subject_id=UUID(int=100),
    user_id=UUID(int=1),
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
class World:
    now: float = 0.0
    fresh: bool = True
    cache: BearerCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = BearerCache(
            fresh=lambda: self.fresh,
            clock=lambda: self.now,
            wall=lambda: START.timestamp() + self.now,
            max_entries=3,
        )

    def put(self, resolved: Resolved = SESSION) -> None:
        self.cache.put(resolved, self.cache.generation)

    @property
    def remembered(self) -> int:
        """Everything that is held for tokens; an empty cache holds nothing."""
        held = self.cache
        return len(held._entries) + len(held._by_subject) + len(held._closers)


@pytest.fixture
def world() -> World:
    return World()


def test_an_entry_lasts_thirty_seconds_and_never_past_its_end(world: World) -> None:
    world.put()
    world.now = ENTRY_SECONDS - 0.01
    assert world.cache.get(SESSION.digest) is SESSION
    world.now = ENTRY_SECONDS
    assert world.cache.get(SESSION.digest) is None
    ending = replace(SESSION, expires_at=START + timedelta(seconds=world.now + 5))
    world.put(ending)
    world.now += 5
    assert world.cache.get(SESSION.digest) is None


def test_nothing_is_served_or_kept_without_proof(world: World) -> None:
    world.put()
    world.fresh = False
    assert world.cache.get(SESSION.digest) is None
    other = replace(SESSION, digest=b"\2" * 32)
    world.put(other)
    world.fresh = True
    assert world.cache.get(other.digest) is None


NOTES = [("token", SESSION.digest.hex()), ("user", str(SESSION.user_id)), ("tenant", str(SESSION.tenant_id))]


@pytest.mark.parametrize("note", NOTES)
def test_what_was_read_before_news_is_not_kept(world: World, note: tuple[str, str]) -> None:
    before = world.cache.generation
    world.cache.notified(*note)
    world.cache.put(SESSION, before)
    assert world.cache.get(SESSION.digest) is None
    world.put()
    assert world.cache.get(SESSION.digest) is SESSION


@pytest.mark.parametrize("note", NOTES)
def test_news_empties_what_it_concerns(world: World, note: tuple[str, str]) -> None:
    closed: list[int] = []
    world.put()
    world.cache.on_revoked(SESSION, lambda: closed.append(1))
    world.cache.on_revoked(SESSION, lambda: closed.append(2))
    world.cache.notified(*note)
    assert (closed, world.remembered) == ([1, 2], 0)


def test_news_of_others_changes_nothing(world: World) -> None:
    world.put()
    for note in (("token", "00"), ("user", str(uuid4())), ("tenant", str(uuid4())), ("event", str(SESSION.user_id))):
        world.cache.notified(*note)
    assert world.cache.get(SESSION.digest) is SESSION


def leave_by_time(world: World) -> None:
    world.now += ENTRY_SECONDS
    world.cache.get(SESSION.digest)


def leave_by_crowd(world: World) -> None:
    for n in range(3):
        world.put(replace(SESSION, digest=bytes([50 + n]) * 32))
    for n in range(3):
        world.cache.notified("token", (bytes([50 + n]) * 32).hex())


@pytest.mark.parametrize("leave", [leave_by_time, leave_by_crowd])
@pytest.mark.parametrize("stream_first", [True, False])
def test_a_stream_that_outlives_its_entry_leaves_nothing_behind(
    world: World, leave: Callable[[World], None], stream_first: bool
) -> None:
    world.put()
    unregister = world.cache.on_revoked(SESSION, lambda: None)
    if stream_first:
        unregister()
        leave(world)
    else:
        leave(world)
        unregister()
    assert world.remembered == 0
    unregister()  # twice does no harm


def test_a_stream_is_closed_after_its_entry_left_too(world: World) -> None:
    closed: list[bool] = []
    world.put()
    world.cache.on_revoked(SESSION, lambda: closed.append(True))
    world.now += ENTRY_SECONDS
    world.cache.get(SESSION.digest)
    world.cache.notified("user", str(SESSION.user_id))
    assert closed == [True]
    assert world.remembered == 0


def test_a_stream_that_fails_to_close_keeps_no_entry_alive(world: World) -> None:
    second = replace(SESSION, digest=b"\2" * 32)
    world.put()
    world.put(second)

    def broken() -> None:
        raise RuntimeError

    world.cache.on_revoked(SESSION, broken)
    world.cache.on_revoked(second, broken)
    with pytest.raises(RuntimeError):
        world.cache.notified("user", str(SESSION.user_id))
    assert world.cache.get(SESSION.digest) is None
    assert world.cache.get(second.digest) is None


def test_streams_stay_over_a_lost_connection(world: World) -> None:
    closed: list[bool] = []
    world.put()
    world.cache.on_revoked(SESSION, lambda: closed.append(True))
    world.cache.disconnected()
    assert world.cache.get(SESSION.digest) is None
    assert closed == []
    world.cache.notified("token", SESSION.digest.hex())
    assert closed == [True]


def test_memory_is_bounded(world: World) -> None:
    for n in range(20_000):
        world.cache.notified("token", str(n))
        world.put(replace(SESSION, digest=n.to_bytes(32), user_id=UUID(int=n)))
    assert len(world.cache._entries) == 3
    assert len(world.cache._marks) <= 10_000
    assert len(world.cache._by_subject) <= 8


def test_last_use_is_noted_once_a_minute_and_taken_once() -> None:
    now = START + timedelta(seconds=59)
    seen = LastSeen(now=lambda: now)
    seen.note(SESSION)
    assert seen.take() == {}
    now = START + timedelta(seconds=60)
    for _ in range(1000):
        seen.note(SESSION)
    assert seen.take() == {SESSION.tenant_id: {SESSION.subject_id: now}}
    assert seen.take() == {}
