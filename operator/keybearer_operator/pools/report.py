"""A pool's status, from what there is: pure. Its messages say what happens and what to do."""

from collections.abc import Iterable
from typing import Any

from keybearer_operator import names
from keybearer_operator.conditions import Condition
from keybearer_operator.pools import plan
from keybearer_operator.pools.model import Observed, Pod, Version


def fields(seen: Observed) -> dict[str, Any]:
    """The status without conditions and generations."""
    return {
        "replicas": len(seen.workers),
        "readyReplicas": _ready(seen.workers),
        "desiredReplicas": plan.wanted(seen).workers,
        "selector": f"{names.POOL}={seen.name}",
        "activeJobs": seen.active_jobs,
        "drainingReplicas": len(seen.draining),
        "versions": _versions(seen),
    }


def conditions(seen: Observed) -> list[Condition]:
    return [_available(seen), _progressing(seen), _drained(seen), _limited(seen), _exceeded(seen)]


def _versions(seen: Observed) -> list[dict[str, Any]]:
    """Those with a worker left, newest first. A ReplicaSet may be gone before the last of its pods."""
    known = {version.name: version for version in seen.versions}
    gone = {pod.version for pod in seen.pods} - known.keys()
    there = [*known.values(), *(Version(name, 0, "", 0) for name in gone)]
    newest = max((version.revision for version in there), default=0)
    ordered = sorted(there, key=lambda version: (-version.revision, version.name))
    shown = [_version(each, [pod for pod in seen.pods if pod.version == each.name], newest) for each in ordered]
    return [each for each in shown if each["replicas"] or each["drainingReplicas"] or each["phase"] == "Current"]


def _version(version: Version, pods: Iterable[Pod], newest: int) -> dict[str, Any]:
    draining = [pod for pod in pods if pod.terminating]
    workers = [pod for pod in pods if not pod.terminating]
    phase = "Current" if 0 < version.revision == newest else "Retiring" if workers or version.replicas else "Draining"
    shown = {"revision": version.revision, "image": version.image} if version.revision else {}
    return {
        "name": version.name,
        **shown,
        "phase": phase,
        "replicas": len(workers),
        "readyReplicas": _ready(workers),
        "drainingReplicas": len(draining),
        "activeJobs": sum(pod.active_jobs or 0 for pod in (*workers, *draining)),
    }


def _available(seen: Observed) -> Condition:
    if seen.spec.suspend:
        return Condition("Available", False, "Suspended", "Set spec.suspend to false to start the pool again.")
    if seen.deployment is not None and not seen.deployment.owned:
        message = f"A Deployment {seen.name} that is not this pool's is in the way. Delete it, or rename the pool."
        return Condition("Available", False, "NameTaken", message)
    ready, desired = _ready(seen.workers), plan.wanted(seen).workers
    if desired == 0:
        return Condition("Available", True, "NoneWanted", "No worker is wanted: min, replicas and warmBuffer are 0.")
    if ready >= max(1, min(desired, seen.spec.minimum)):
        return Condition("Available", True, "WorkersReady", f"{ready} of {desired} workers are ready.")
    trouble = _trouble(seen)
    if trouble is not None:
        return Condition("Available", False, *trouble)
    return Condition("Available", False, "WorkersNotReady", f"{ready} of {desired} workers are ready; others start.")


def _progressing(seen: Observed) -> Condition:
    deployment, desired = seen.deployment, plan.wanted(seen).workers
    trouble = _trouble(seen)
    if deployment is not None and not deployment.owned:
        return Condition("Progressing", False, "NameTaken", "Nothing is done while the Deployment's name is taken.")
    if trouble is not None:
        return Condition("Progressing", False, *trouble)
    others = [each for each in _versions(seen) if each["phase"] == "Retiring"]
    if others:
        left = sum(each["replicas"] for each in others)
        message = f"A new version is coming; {left} workers of earlier ones are replaced as new ones become ready."
        return Condition("Progressing", True, "RollingOut", message)
    if deployment is None or deployment.replicas != desired or len(seen.workers) != desired or not deployment.settled:
        message = f"{len(seen.workers)} workers are there, {desired} are wanted."
        return Condition("Progressing", True, "Scaling", message)
    silent = [pod.name for pod in seen.workers if pod.active_jobs is None]
    if silent:
        message = f"{silent[0]} and {len(silent) - 1} more run" if len(silent) > 1 else f"{silent[0]} runs"
        message += ", and the operator cannot ask how many calls there are. No worker is taken away on a guess."
        return Condition("Progressing", False, "WorkersSilent", message)
    return Condition("Progressing", False, "Settled", f"{desired} workers are there, as wanted.")


def _drained(seen: Observed) -> Condition:
    if not seen.draining:
        return Condition("Drained", True, "NoneDraining", "No worker waits for its calls to end.")
    calls = sum(pod.active_jobs or 0 for pod in seen.draining)
    message = (
        f"{len(seen.draining)} workers take no new calls and finish {calls}, for at most {seen.spec.drain_seconds} s "
        "each. Nothing has to be done."
    )
    return Condition("Drained", False, "Draining", message)


def _limited(seen: Observed) -> Condition:
    demand, most = plan.wanted(seen).demand, plan.ceiling(seen.spec)
    if demand <= most or seen.spec.suspend:
        return Condition("ScalingLimited", False, "WithinLimits", f"{demand} workers are asked for, {most} allowed.")
    if most == seen.spec.maximum:
        message = f"{demand} workers are asked for, and spec.capacity.max is {most}. Raise it, or calls may wait."
        return Condition("ScalingLimited", True, "MaximumReached", message)
    message = f"{demand} workers are asked for, and spec.budget allows {most}. Raise it, or calls may wait."
    return Condition("ScalingLimited", True, "BudgetReached", message)


def _exceeded(seen: Observed) -> Condition:
    spec, jobs = seen.spec, seen.active_jobs
    if spec.max_active_jobs is not None and jobs > spec.max_active_jobs:
        message = (
            f"{jobs} calls are in progress, and spec.budget.maxActiveJobs is {spec.max_active_jobs}. They are not cut "
            "off; no worker is added for more."
        )
        return Condition("BudgetExceeded", True, "MaxActiveJobs", message)
    demand = plan.wanted(seen).demand
    if spec.max_workers is not None and demand > spec.max_workers:
        message = f"{demand} workers are asked for, and spec.budget.maxWorkers is {spec.max_workers}."
        return Condition("BudgetExceeded", True, "MaxWorkers", message)
    if spec.max_active_jobs is None and spec.max_workers is None:
        return Condition("BudgetExceeded", False, "NoBudget", "The pool has no budget.")
    return Condition("BudgetExceeded", False, "WithinBudget", f"{jobs} calls and {demand} workers are within it.")


def _trouble(seen: Observed) -> tuple[str, str] | None:
    """Why workers do not come: what the Deployment's controller or a pod's kubelet says."""
    if seen.deployment is not None and seen.deployment.trouble is not None:
        return seen.deployment.trouble
    return next((pod.trouble for pod in seen.workers if pod.trouble is not None), None)


def _ready(pods: Iterable[Pod]) -> int:
    return sum(pod.ready for pod in pods)
