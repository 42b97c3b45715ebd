"""An AgentPool from one look at the world to the next: observe, plan, do, say."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import httpx2
import structlog
from prometheus_client import Gauge

from keybearer_operator import conditions, controller, names
from keybearer_operator.conditions import Condition
from keybearer_operator.controller import Controller, Watch
from keybearer_operator.kube import AGENT_POOLS, DEPLOYMENTS, PODS, REPLICA_SETS, Forbidden, Invalid, Kube, Object
from keybearer_operator.lease import Lease
from keybearer_operator.names import Key
from keybearer_operator.pools import plan, report, template
from keybearer_operator.pools.model import DELETION_COST, Apply, Mark, Observed
from keybearer_operator.pools.observe import Mirrors, Observer, deployment_of, pool_of
from keybearer_operator.work import GONE

log = structlog.get_logger(__name__)

RESYNC_SECONDS: Final = 300.0
"""Against events that were lost; everything else comes with its event."""
_ASK_SECONDS: Final = 5.0
"""Calls begin and end without an event of the API, so workers are asked."""
_ASK_AGAIN_SECONDS: Final = 15.0
"""Whoever does not answer keeps a place in the queue for as long as it is waited for."""

_BAD: Final = {("Available", False), ("ScalingLimited", True), ("BudgetExceeded", True)}

_LABELS = ("namespace", "name")
_JOBS = Gauge("keybearer_pool_jobs", "Calls in progress in a pool.", _LABELS)
_WORKERS = Gauge("keybearer_pool_workers", "Workers of a pool: ready, draining, silent.", (*_LABELS, "state"))
_DESIRED = Gauge("keybearer_pool_desired_workers", "Workers that a pool is to have.", _LABELS)


class Reconciler:
    def __init__(self, kube: Kube, lease: Lease, http: httpx2.AsyncClient) -> None:
        self._kube = kube
        self._lease = lease
        self.mirrors = Mirrors()
        self._observer = Observer(kube, http, self.mirrors)

    async def reconcile(self, key: Key) -> float | None:
        pool = self.mirrors.pools.one(key)
        if pool is None or "deletionTimestamp" in pool["metadata"]:
            _forget(key)
            return GONE
        seen = await self._observer.look(pool)
        try:
            seen = await self._carry_out(pool, seen)
        except (Forbidden, Invalid) as error:
            message = f"The operator cannot go on: {error}. It tries again by itself."
            await self._say(pool, seen, [Condition("Progressing", False, type(error).__name__, message)])
            raise
        await self._say(pool, seen)
        running = [pod for pod in seen.pods if pod.running]
        if not running:
            return None
        return _ASK_SECONDS if all(pod.active_jobs is not None for pod in running) else _ASK_AGAIN_SECONDS

    async def _carry_out(self, pool: Object, seen: Observed) -> Observed:
        """Answers what is true afterwards."""
        for action in plan.plan(seen):
            self._lease.require()
            match action:
                case Mark(name, cost):
                    change = {"metadata": {"annotations": {DELETION_COST: str(cost)}}}
                    self.mirrors.pods.put(await self._kube.patch(PODS, pool["metadata"]["namespace"], name, change))
                case Apply(replicas, version):
                    seen = await self._apply(pool, seen, replicas, version)
        return seen

    async def _apply(self, pool: Object, seen: Observed, replicas: int, version: str | None) -> Observed:
        manifest = template.deployment(seen, replicas)
        if version is not None:
            manifest["metadata"]["resourceVersion"] = version
        written = await self._kube.apply(DEPLOYMENTS, pool["metadata"]["namespace"], manifest)
        self.mirrors.deployments.put(written)
        before = seen.deployment.replicas if seen.deployment else 0
        if before != replicas:
            message = f"From {before} to {replicas} workers, with {seen.active_jobs} calls in progress."
            await self._kube.record_event(pool, "Scaled", message)
        deployment = deployment_of(written, seen.uid)
        log.info("pool.applied", pool=seen.name, replicas=replicas, before=before, active_jobs=seen.active_jobs)
        return replace(seen, deployment=deployment, deployment_generation=deployment.generation)

    async def _say(self, pool: Object, seen: Observed, instead: Sequence[Condition] = ()) -> None:
        """Writes the status where it differs, tells of trouble that began or ended, and counts."""
        metadata, before = pool["metadata"], pool.get("status", {})
        named = {each.type for each in instead}
        said = [*(each for each in report.conditions(seen) if each.type not in named), *instead]
        merged = conditions.merge(
            before.get("conditions", ()), said, generation=metadata["generation"], moment=datetime.now(UTC)
        )
        status = {**report.fields(seen), "observedGeneration": metadata["generation"], "conditions": merged}
        if seen.deployment_generation:
            status["deploymentGeneration"] = seen.deployment_generation
        _measure(Key(pool["metadata"]["namespace"], seen.name), seen)
        if status == before:
            return
        self._lease.require()
        self.mirrors.pools.put(
            await self._kube.apply_status(AGENT_POOLS, metadata["namespace"], metadata["name"], status)
        )
        await self._tell(pool, said)

    async def _tell(self, pool: Object, said: Iterable[Condition]) -> None:
        """An event for each condition that turned bad, or has another reason to be."""
        before = pool.get("status", {}).get("conditions", ())
        for each in said:
            known = conditions.find(before, each.type)
            is_new = known is None or (known["status"], known["reason"]) != (str(each.status), each.reason)
            if is_new and (each.type, each.status) in _BAD and each.reason != "WorkersNotReady":
                warning = each.reason != "Suspended"
                await self._kube.record_event(pool, each.reason, each.message, warning=warning)


def make(kube: Kube, lease: Lease, http: httpx2.AsyncClient) -> Controller:
    """`http` leads to pods."""
    reconciler = Reconciler(kube, lease, http)
    mirrors, ours = reconciler.mirrors, {names.POOL: None}
    watches = [
        Watch(DEPLOYMENTS, controller.owner_keys(AGENT_POOLS), ours, mirrors.deployments),
        Watch(REPLICA_SETS, lambda found: [pool_of(found)], ours, mirrors.versions),
        Watch(PODS, lambda found: [pool_of(found)], ours, mirrors.pods),
    ]
    return Controller(AGENT_POOLS, reconciler.reconcile, watches, mirrors.pools, resync=RESYNC_SECONDS)


def _measure(key: Key, seen: Observed) -> None:
    _JOBS.labels(*key).set(seen.active_jobs)
    _DESIRED.labels(*key).set(plan.wanted(seen).workers)
    for state, count in (
        ("ready", sum(pod.ready for pod in seen.workers)),
        ("draining", len(seen.draining)),
        ("silent", sum(pod.active_jobs is None for pod in seen.pods)),
    ):
        _WORKERS.labels(*key, state).set(count)


def _forget(key: Key) -> None:
    for gauge in (_JOBS, _DESIRED, _WORKERS):
        gauge.remove_by_labels({"namespace": key.namespace, "name": key.name})
