"""The planner in a simulated world: whatever happens in between, it ends where it should and endangers no key."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keybearer_operator.rotation import hands, model, plan, report
from keybearer_operator.rotation.model import Phase, Type
from rotations.world import MINUTE, World, digest

EVENTS = st.tuples(
    st.sampled_from([
        "operator", "operator", "operator", "killed", "stale", "follows", "follows", "follows", "comes", "goes",
        "writes", "job done", "job done", "job failed", "backup", "time", "time", "clock back", "ask",
    ]),
    st.integers(0, 5),
)  # fmt: skip
WORLDS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(list(Type)),
        "mode": st.sampled_from(list(model.Mode)),
        "retain": st.integers(0, 1),
        "interval": st.sampled_from([None, timedelta(days=30)]),
        "login": st.sampled_from(list(model.NEXT_LOGIN)),
    }
)
quickly = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def new_rotation(world: World) -> None:
    world.reconcile()
    world.asked = "now"


def live(world: World, events: list[tuple[str, int]]) -> None:
    """A stale operator carries out what it had planned some events ago: it was away, or is one of two."""
    stale = world.seen()
    for event in events:
        if event[0] == "stale":
            world.carry_out(stale, says=False)
            stale = world.seen()
        else:
            world.happens(event)
        world.check_readable()


@quickly
@given(kind=WORLDS, events=st.lists(EVENTS, max_size=60))
def test_whatever_happens_it_ends_well_and_no_key_is_endangered(kind, events):
    world = World(**kind)
    new_rotation(world)
    live(world, events)
    world.settle()
    world.check_settled()
    assert world.state.asked == world.asked


@quickly
@given(kind=WORLDS, events=st.lists(EVENTS.filter(lambda event: event[0] not in {"ask", "clock back"}), max_size=60))
def test_nothing_is_done_twice(kind, events):
    world = World(**kind)
    world.interval = None
    new_rotation(world)
    live(world, events)
    world.settle()
    assert len(world.done) == 1
    assert len(world.begun) == (0 if world.type is Type.OPAQUE_SECRET else 1)


@quickly
@given(kind=WORLDS, events=st.lists(EVENTS, max_size=40))
def test_while_suspended_nothing_is_changed(kind, events):
    world = World(**kind)
    new_rotation(world)
    live(world, events)
    world.suspend = True
    before = (world.version, len(world.jobs), world.template)
    live(world, [event for event in events if event[0] != "job done"])
    assert plan.plan(world.seen()) == []
    assert (world.version, len(world.jobs), world.template) == before


HAND_EDITS = (
    "unknown key",
    "staged vanishes",
    "promoted by hand",
    "annotation removed",
    "previous vanishes",
    "changed",
)


def edit(world: World, how: str) -> bool:
    """Whether it was possible. Afterwards no pod has to be able to read all rows."""
    state = world.state
    assert state is not None
    match how:
        case "unknown key":
            world.keys["by-hand"] = digest("by-hand")
        case "staged vanishes" if state.staged in world.keys:
            del world.keys[state.staged]
        case "promoted by hand" if len(world.keys) > 1:
            world.primary = next(each for each in sorted(world.keys) if each != world.primary)
        case "annotation removed":
            world.state = None
        case "previous vanishes" if state.previous:
            del world.keys[state.previous[0]]
        case "changed" if state.previous:
            world.keys[state.previous[0]] = digest("something else")
        case _:
            return False
    world.edited = True
    world.version += 1
    return True


@quickly
@given(
    kind=st.sampled_from([Type.AES_KEYRING, Type.SIGNING_KEYRING]),
    before=st.lists(EVENTS, max_size=40),
    how=st.sampled_from(HAND_EDITS),
    after=st.lists(EVENTS, max_size=40),
)
def test_a_secret_edited_by_hand_is_followed_or_left_alone(kind, before, how, after):
    world = World(kind)
    new_rotation(world)
    live(world, before)
    keys = dict(world.keys)
    if not edit(world, how):
        return
    live(world, after)
    if how in {"previous vanishes", "changed"}:
        trouble = hands.trouble(world.seen())
        if trouble is not None:
            assert trouble.reason in {"KeyMissing", "KeyChanged"}
            assert plan.plan(world.seen()) == []
            world.keys.update({name: keys[name] for name in keys if name not in world.public})  # as the message says
            world.version += 1
    world.settle()
    if how == "unknown key":
        assert "by-hand" in world.keys, "a key that nobody told us of is kept"
    world.check_settled()


@pytest.mark.parametrize("kind", [Type.AES_KEYRING, Type.SIGNING_KEYRING])
def test_a_secret_that_was_rolled_back_is_not_touched(kind):
    world = World(kind)
    new_rotation(world)
    earlier = world.keys.copy(), world.primary, world.state
    world.settle()
    rotated = world.keys.copy(), world.public.copy(), world.primary, world.state
    world.keys, world.primary, world.state = earlier
    world.public = set()
    world.version += 1
    world.edited = True
    world.say()
    assert hands.trouble(world.seen()).reason == "SecretRolledBack"
    assert not world.reconcile()
    world.keys, world.public, world.primary, world.state = rotated
    world.version += 1
    world.settle()
    world.check_settled()


def test_what_a_person_declares_right_is_right():
    world = World(Type.AES_KEYRING)
    new_rotation(world)
    world.settle()
    world.keys = {"restored": digest("restored"), "old": digest("old")}
    world.primary, world.edited, world.rows = "restored", True, ["old", "restored"]
    world.version += 1
    assert not world.reconcile()
    world.accept = world.revision
    world.settle()
    world.check_settled()
    assert set(world.keys) == {"restored"}


def test_a_pod_that_never_acknowledges_degrades_and_keeps_the_old_key():
    world = World(Type.AES_KEYRING)
    new_rotation(world)
    world.reconcile()
    for _ in range(40):
        world.now += MINUTE
        world.pod_follows(0)
        world.pod_follows(1)
        world.reconcile()
    degraded = next(each for each in report.report(world.seen()).conditions if each.type == "Degraded")
    assert (degraded.status, degraded.reason) == (True, "ConsumersNotConverged")
    assert "pod-3" in degraded.message
    assert world.primary == "k1"
    assert len(world.keys) == 2
    world.pod_goes(2)
    world.settle()
    world.check_settled()
    assert world.primary != "k1"


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=4000)])
@pytest.mark.parametrize("kind", list(Type))
def test_a_clock_that_jumps_causes_one_rotation_and_no_storm(kind, jump):
    world = World(kind, interval=timedelta(days=30))
    world.reconcile()
    world.settle()
    world.now += jump
    world.settle()
    assert len(world.done) == 1
    world.now -= jump
    for _ in range(5):
        world.settle()
    assert len(world.done) == 1
    world.now += timedelta(days=31)
    world.settle()
    assert len(world.done) == 2


def test_a_job_that_fails_is_tried_again_ever_more_slowly():
    world = World(Type.AES_KEYRING)
    new_rotation(world)
    tries: list[Any] = []
    for _ in range(60 * 12):
        world.reconcile()
        for which in range(3):
            world.pod_follows(which)
        if any(job.phase is Phase.RUNNING for job in world.jobs.values()):
            tries.append(world.now)
            world.job_ends(0, well=False)
        world.now += timedelta(seconds=5)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses == sorted(pauses)
    assert 4 <= len(tries) <= 12
    assert (
        next(each for each in report.report(world.seen()).conditions if each.type == "Degraded").reason == "JobFailing"
    )
    assert "k1" in world.keys
    world.settle()
    world.check_settled()
