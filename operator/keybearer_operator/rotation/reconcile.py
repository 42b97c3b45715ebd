"""A SecretRotation from one look at the world to the next: observe, plan, do, say."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx2
import structlog
from prometheus_client import Gauge

from keybearer_operator import conditions, controller, names
from keybearer_operator.conditions import Condition
from keybearer_operator.controller import Controller, Watch
from keybearer_operator.kube import (
    DEPLOYMENTS,
    JOBS,
    PODS,
    SECRET_ROTATIONS,
    STATEFUL_SETS,
    ApiError,
    Forbidden,
    Invalid,
    Kube,
    NotFound,
    Object,
)
from keybearer_operator.lease import Lease
from keybearer_operator.names import Key
from keybearer_operator.rotation import jobs, plan, report
from keybearer_operator.rotation.execute import Executor
from keybearer_operator.rotation.model import Action, NotifyPod, Observed, Step
from keybearer_operator.rotation.observe import Observer, World
from keybearer_operator.work import GONE

log = structlog.get_logger(__name__)

RESYNC_SECONDS = 300.0
_WAITING_SECONDS = 1.0
_DEGRADED_SECONDS = 10.0
_AT_ONCE = 8

_LABELS = ("namespace", "name", "type")
_STEP = Gauge("keybearer_rotation_step", "1 for the step that a rotation is at.", (*_LABELS, "step"))
_AGE = Gauge("keybearer_rotation_age_seconds", "Time since the last rotation.", _LABELS)
_OVERDUE = Gauge("keybearer_rotation_overdue", "1 where the next rotation is due and has not happened.", _LABELS)
_DEGRADED = Gauge("keybearer_rotation_degraded", "1 while it cannot go on by itself.", _LABELS)


class Reconciler:
    def __init__(self, kube: Kube, lease: Lease, http: httpx2.AsyncClient) -> None:
        self._kube = kube
        self._lease = lease
        self._observer = Observer(kube, http)
        self._executor = Executor(kube, lease)
        self._rotating: set[Key] = set()

    async def reconcile(self, key: Key) -> float | None:
        rotation = await self._kube.find(SECRET_ROTATIONS, key.namespace, key.name)
        if rotation is None or "deletionTimestamp" in rotation["metadata"]:
            self._forget(key)
            return GONE
        try:
            world = await self._advance(rotation, key)
        except (Forbidden, Invalid, NotFound) as error:
            await self._say_refused(rotation, error)
            raise
        await self._say(world)
        return self._pause(key, world)

    def watched(self, changed: Object) -> list[Key]:
        """Rotations under way, for which a pod or workload may matter; the others see it at their next look.

        Workers of pools and their Deployments hold no keys, and of those there may be thousands.
        """
        if names.POOL in changed["metadata"].get("labels", {}):
            return []
        namespace = changed["metadata"]["namespace"]
        return [key for key in self._rotating if key.namespace == namespace]

    async def _advance(self, rotation: Object, key: Key) -> World:
        """Several steps, where nothing has to be waited for. Ends with what is true now."""
        for _ in range(_AT_ONCE):
            closely = key in self._rotating
            world = await (self._observer.look_closely(rotation) if closely else self._observer.look(rotation))
            actions = plan.plan(world.seen)
            if not closely and any(not isinstance(action, NotifyPod) for action in actions):
                world = await self._observer.look_closely(rotation)
                actions = plan.plan(world.seen)
            if not actions:
                return world
            await self._do(actions, world)
            if all(isinstance(action, NotifyPod) for action in actions):
                return world
        return await self._observer.look_closely(rotation)

    async def _do(self, actions: Sequence[Action], world: World) -> None:
        for action in actions:
            await self._executor.carry_out(action, world)

    async def _say(self, world: World) -> None:
        """Writes the status where it differs, tells of trouble that began or ended, and counts."""
        said = report.report(world.seen)
        generation = world.rotation["metadata"]["generation"]
        before = world.rotation.get("status", {})
        merged = conditions.merge(
            before.get("conditions", ()), said.conditions, generation=generation, moment=world.seen.now
        )
        status = {**said.fields, "observedGeneration": generation, "conditions": merged}
        self._measure(world)
        if status == before:
            return
        await self._apply(world.rotation, status)
        await self._tell_of_trouble(world.rotation, said.conditions)

    async def _say_refused(self, rotation: Object, error: ApiError) -> None:
        """A right, a kind or an object that is missing shows in `kubectl describe`, as far as we may write there."""
        reason = type(error).__name__
        message = f"The operator cannot go on: {error}. It tries again by itself."
        before = rotation.get("status", {})
        now = [Condition("Degraded", True, reason, message), Condition("Ready", False, reason, message)]
        merged = conditions.merge(
            before.get("conditions", ()),
            now,
            generation=rotation["metadata"]["generation"],
            moment=datetime.now(UTC),
        )
        kept = [each for each in before.get("conditions", ()) if each["type"] not in {"Degraded", "Ready"}]
        status = {**before, "conditions": sorted([*kept, *merged], key=lambda each: str(each["type"]))}
        if status != before:
            await self._apply(rotation, status)
            await self._tell_of_trouble(rotation, now)

    async def _apply(self, rotation: Object, status: Object) -> None:
        self._lease.require()
        metadata = rotation["metadata"]
        await self._kube.apply_status(SECRET_ROTATIONS, metadata["namespace"], metadata["name"], status)

    async def _tell_of_trouble(self, rotation: Object, now: Sequence[Condition]) -> None:
        before = conditions.find(rotation.get("status", {}).get("conditions", ()), "Degraded")
        degraded = next(each for each in now if each.type == "Degraded")
        if degraded.status and (before is None or before["status"] != "True" or before["reason"] != degraded.reason):
            await self._kube.record_event(rotation, degraded.reason, degraded.message, warning=True)
        elif not degraded.status and before is not None and before["status"] == "True":
            await self._kube.record_event(rotation, "Recovered", "What kept this rotation from its work is gone.")

    def _measure(self, world: World) -> None:
        seen = world.seen
        state = seen.content.state if seen.content else None
        labels = (world.rotation["metadata"]["namespace"], seen.name, str(seen.spec.type))
        present = plan.step(seen)
        for step in Step:
            _STEP.labels(*labels, str(step)).set(step is present)
        degraded = next(each for each in report.report(seen).conditions if each.type == "Degraded")
        _DEGRADED.labels(*labels).set(bool(degraded.status))
        if state is None:
            return
        # Asked for when they are read: nothing happens for weeks between two rotations.
        rotated, due = state.rotated.timestamp(), plan.next_rotation(seen, state)
        _AGE.labels(*labels).set_function(lambda: time.time() - rotated)
        _OVERDUE.labels(*labels).set_function(lambda: float(due is not None and time.time() > due.timestamp()))

    def _pause(self, key: Key, world: World) -> float | None:
        """Seconds until the next look. What a pod holds is no event of the API, so it is asked again and again."""
        if _rotates(world.seen) or not plan.converged(world.seen):
            self._rotating.add(key)
            degraded = next(each for each in report.report(world.seen).conditions if each.type == "Degraded")
            return _DEGRADED_SECONDS if degraded.status else _patience(world.seen)
        self._rotating.discard(key)
        state = world.seen.content.state if world.seen.content else None
        due = plan.next_rotation(world.seen, state) if state else None
        return max(_WAITING_SECONDS, (due - world.seen.now).total_seconds()) if due else None

    def _forget(self, key: Key) -> None:
        self._rotating.discard(key)
        for gauge in (_STEP, _AGE, _OVERDUE, _DEGRADED):
            gauge.remove_by_labels({"namespace": key.namespace, "name": key.name})


def _patience(seen: Observed) -> float:
    """Seconds: whoever has waited for long is looked at less often, so that many rotations at once leave room."""
    state = seen.content.state if seen.content else None
    waited = (seen.now - state.since).total_seconds() if state else 0.0
    return min(_DEGRADED_SECONDS, max(_WAITING_SECONDS, waited / 10))


def make(kube: Kube, lease: Lease, http: httpx2.AsyncClient) -> Controller:
    """`http` leads to pods."""
    reconciler = Reconciler(kube, lease, http)
    others = [Watch(resource, reconciler.watched) for resource in (PODS, DEPLOYMENTS, STATEFUL_SETS)]
    own = Watch(JOBS, controller.owner_keys(SECRET_ROTATIONS), {jobs.ROTATION_LABEL: None})
    return Controller(SECRET_ROTATIONS, reconciler.reconcile, [own, *others], resync=RESYNC_SECONDS)


def _rotates(seen: Observed) -> bool:
    return plan.step(seen) is not Step.IDLE
