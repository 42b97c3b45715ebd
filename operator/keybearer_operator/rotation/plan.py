"""What to do next, from what there is: a pure function, called again after each thing that it asked for.

Where a rotation stands is read from the world, above all from the Secret (its content, and the state that is written
together with it), so an operator that is killed anywhere goes on from there. At most one action of those that are
answered changes the Secret or starts a Job, and it is the last.
"""

import dataclasses
import hashlib
from datetime import datetime, timedelta

from keybearer_operator.rotation import hands, schedule
from keybearer_operator.rotation.model import (
    NEXT_LOGIN,
    Action,
    Consumer,
    Content,
    DropPending,
    MakePending,
    Mode,
    NotifyPod,
    Observed,
    Phase,
    Pod,
    PromoteKey,
    Purpose,
    Record,
    ReplaceValues,
    RestartConsumer,
    RetireKey,
    StageKey,
    StartJob,
    State,
    Step,
    SwitchLogin,
    Type,
)

_FIRST_RETRY = timedelta(seconds=10)
_LONGEST_RETRY = timedelta(minutes=10)


def plan(seen: Observed) -> list[Action]:
    """Empty: there is nothing to do, or something to wait for; `report.status` says which."""
    if seen.spec.suspend or seen.content is None:
        return []
    edited = hands.mend(seen, seen.content)
    if edited is not None:
        return [edited]
    state = seen.content.state
    if state is None or hands.trouble(seen) is not None:
        return []
    return [*_notices(seen, seen.content), *_next(seen, seen.content, state)]


def step(seen: Observed) -> Step:
    """Where the rotation stands, for people."""
    state = seen.content.state if seen.content else None
    if state is None:
        return Step.IDLE
    if state.staged is not None:
        return Step.PREPARING if seen.spec.type is Type.POSTGRES_USER else Step.STAGED
    if not _must_rewrap(seen, state) and not keys_to_retire(seen, state):
        waits = seen.spec.type is Type.OPAQUE_SECRET and not converged(seen)
        return Step.PROMOTED if waits else Step.IDLE
    if not converged(seen) or not _elapsed(seen, state.since, seen.spec.minimum):
        return Step.PROMOTED
    return Step.REWRAPPING if _must_rewrap(seen, state) else Step.RETIRING


def converged(seen: Observed) -> bool:
    """Rule R9: every pod of every consumer acknowledges, and nothing else uses the Secret."""
    if seen.content is None:
        return False
    consumers = all(each.found and consumer_converged(each, seen.content) for each in seen.consumers)
    return consumers and not seen.others


def consumer_converged(consumer: Consumer, content: Content) -> bool:
    if consumer.mode is Mode.RESTART and not _settled(content):
        restarted = consumer.restarted_for == content.revision and consumer.rolled_out
        return restarted and all(acknowledges(pod, consumer, content) for pod in consumer.pods)
    return all(acknowledges(pod, consumer, content) for pod in consumer.pods)


def acknowledges(pod: Pod, consumer: Consumer, content: Content) -> bool:
    if consumer.mode is Mode.RESTART:
        return _settled(content) or pod.reports == content.revision
    return pod.reports == content.wanted


def keys_to_retire(seen: Observed, state: State) -> tuple[str, ...]:
    """The oldest first."""
    return tuple(reversed(state.previous[seen.spec.retain :]))


def next_rotation(seen: Observed, state: State) -> datetime | None:
    if seen.spec.interval is None:
        return None
    return schedule.next_time(state.rotated, seen.spec.interval, seen.spec.windows, seen.now)


def job_name(seen: Observed, state: State, purpose: Purpose, about: str) -> str:
    """The same for the same work, so that a second start finds the first one's; another in the next rotation."""
    about_what = f"{purpose} {about} {state.rotated.isoformat()} {state.attempt}"
    digest = hashlib.sha256(about_what.encode()).hexdigest()[:10]
    return f"{seen.name[:40].rstrip('-.')}-{purpose}-{digest}"


def rewrap_job(seen: Observed, state: State) -> str:
    return job_name(seen, state, Purpose.REWRAP, state.active)


def _settled(content: Content) -> bool:
    """Nobody was ever asked to follow to this revision: it was there when the operator came."""
    return content.state is not None and content.state.settled == content.revision


def _notices(seen: Observed, content: Content) -> list[Action]:
    """Tells whoever has to follow that there is something new."""
    told: list[Action] = []
    for consumer in seen.consumers:
        if consumer.mode is Mode.RESTART:
            if consumer.found and not _settled(content) and consumer.restarted_for != content.revision:
                told.append(RestartConsumer(consumer.kind, consumer.name, content.revision))
            continue
        told += [
            NotifyPod(pod.name, content.revision)
            for pod in consumer.pods
            if not acknowledges(pod, consumer, content) and pod.notified != content.revision
        ]
    return told


def _next(seen: Observed, content: Content, state: State) -> list[Action]:
    if state.staged is not None:
        if seen.spec.type is Type.POSTGRES_USER:
            return _hand_over(seen, state, state.staged)
        return _promote(seen, state, state.staged)
    if _must_rewrap(seen, state):
        return _rewrap(seen, state)
    retiring = keys_to_retire(seen, state)
    if retiring:
        return _retire(seen, state, retiring[0])
    if seen.pending is not None:
        return [DropPending()]
    if _is_due(seen, state):
        return _begin(seen, content, state)
    return []


def _is_due(seen: Observed, state: State) -> bool:
    if seen.asked and seen.asked != state.asked:
        return True
    interval = seen.spec.interval
    return interval is not None and schedule.is_due(state.rotated, interval, seen.spec.windows, seen.now)


def _begin(seen: Observed, content: Content, state: State) -> list[Action]:
    """Only when all have followed to where we are: otherwise one pod could be two rotations behind."""
    if not converged(seen):
        return []
    begun = dataclasses.replace(state, since=seen.now, asked=seen.asked, failures=0, failed_at=None)
    if seen.spec.type is Type.OPAQUE_SECRET:
        return [ReplaceValues(dataclasses.replace(begun, active=_value_id(seen.now), rotated=seen.now))]
    if seen.spec.type is Type.POSTGRES_USER:
        login = NEXT_LOGIN[state.active]
        note = f"Gives the login {login} a new password."
        return [Record(dataclasses.replace(begun, staged=login), "RotationBegun", note)]
    key_id = _key_id(seen.now, content)
    return [StageKey(key_id, dataclasses.replace(begun, staged=key_id))]


def _promote(seen: Observed, state: State, key_id: str) -> list[Action]:
    if not converged(seen) or not _elapsed(seen, state.since, seen.spec.minimum):
        return []
    return [PromoteKey(key_id, _promoted(seen, state, key_id))]


def _hand_over(seen: Observed, state: State, login: str) -> list[Action]:
    """The login gets its password from a Job before anybody is told of it."""
    if seen.pending is None or seen.pending.login != login:
        return [MakePending(login)]
    name = job_name(seen, state, Purpose.SET_LOGIN, seen.pending.revision)
    start = StartJob(name, Purpose.SET_LOGIN, ("keys", "set-login", "--login", login))
    waiting = _job(seen, state, start)
    if waiting is not None:
        return waiting
    return [SwitchLogin(login, seen.pending.revision, _promoted(seen, state, login))]


def _promoted(seen: Observed, state: State, key_id: str) -> State:
    before = tuple(each for each in (state.active, *state.previous) if each != key_id)
    return dataclasses.replace(
        state, active=key_id, staged=None, previous=before, since=seen.now, rotated=seen.now, rewrapped=""
    )


def _must_rewrap(seen: Observed, state: State) -> bool:
    return seen.spec.type is Type.AES_KEYRING and state.rewrapped != state.active


def _rewrap(seen: Observed, state: State) -> list[Action]:
    """After all write with the new key alone: whatever is written while the Job runs needs it no more."""
    if not converged(seen) or not _elapsed(seen, state.since, seen.spec.minimum):
        return []
    numbers = ("--batch-size", str(seen.spec.batch_size), "--rate", str(seen.spec.rate))
    start = StartJob(rewrap_job(seen, state), Purpose.REWRAP, ("keys", "rewrap", *numbers))
    waiting = _job(seen, state, start)
    if waiting is not None:
        return waiting
    done = dataclasses.replace(state, rewrapped=state.active)
    return [Record(done, "Rewrapped", f"All data keys are wrapped with {state.active}.")]


def _retire(seen: Observed, state: State, key_id: str) -> list[Action]:
    # The status has to name the new key first: should the Secret be rolled back afterwards, it is the only witness.
    if not converged(seen) or seen.reported.active != state.active or not _elapsed(seen, state.since, seen.spec.keep):
        return []
    rest = tuple(each for each in state.previous if each != key_id)
    keys = {each: digest for each, digest in state.keys.items() if each != key_id}
    retired = dataclasses.replace(state, previous=rest, keys=keys, failures=0, failed_at=None)
    if seen.spec.type is Type.SIGNING_KEYRING:
        return [RetireKey(key_id, retired)]
    start = _retiring_job(seen, state, key_id)
    # A row still used the key: what wrote it must have been late, so rewrapping comes again first.
    failed = dataclasses.replace(state, rewrapped="")
    waiting = _job(seen, state, start, failed=failed)
    if waiting is not None:
        return waiting
    if seen.spec.type is Type.POSTGRES_USER:
        return [Record(retired, "LoginEnded", f"No session of {key_id} is left, and its password is void.")]
    return [RetireKey(key_id, retired)]


def _retiring_job(seen: Observed, state: State, key_id: str) -> StartJob:
    if seen.spec.type is Type.POSTGRES_USER:
        within = str(int(seen.spec.maximum.total_seconds()))
        name = job_name(seen, state, Purpose.END_LOGIN, key_id)
        return StartJob(name, Purpose.END_LOGIN, ("keys", "end-login", "--login", key_id, "--within", within))
    name = job_name(seen, state, Purpose.RETIRE, key_id)
    return StartJob(name, Purpose.RETIRE, ("keys", "retire", key_id))


def _job(seen: Observed, state: State, start: StartJob, *, failed: State | None = None) -> list[Action] | None:
    """None: it succeeded. `failed`: the state to go on from, should it fail; by default where we are."""
    job = seen.jobs.get(start.name)
    if job is None:
        return [start] if _may_try(seen, state) else []
    if job.phase is Phase.SUCCEEDED:
        return None
    if job.phase is Phase.RUNNING:
        return []
    again = dataclasses.replace(
        failed or state, attempt=state.attempt + 1, failures=state.failures + 1, failed_at=seen.now
    )
    note = f"Job {start.name} failed; see `kubectl logs job/{start.name}`. It is tried again."
    return [Record(again, "JobFailed", note, warning=True)]


def _may_try(seen: Observed, state: State) -> bool:
    if state.failed_at is None:
        return True
    pause = min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(max(state.failures - 1, 0), 10))
    return _elapsed(seen, state.failed_at, pause)


def _elapsed(seen: Observed, since: datetime, at_least: timedelta) -> bool:
    return seen.now - since >= at_least


def _key_id(now: datetime, content: Content) -> str:
    """Sorts by time. Never one that was there before: its name would stand for two keys."""
    first = f"k{now:%Y%m%d%H%M%S}"
    taken = content.keys.keys() | content.public
    return next(name for name in (first, *(f"{first}-{n}" for n in range(2, 1000))) if name not in taken)


def _value_id(now: datetime) -> str:
    return f"v{now:%Y%m%d%H%M%S}"
