"""How many workers a pool should have, and what to do about it: pure.

A worker that is taken away gets SIGTERM and ends with its last call; that alone keeps calls safe. Deletion costs only
choose whom: the one with the fewest calls, so that few workers drain for long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keybearer_operator.pools import template
from keybearer_operator.pools.model import Action, Apply, Mark, Observed, Pod, Spec


@dataclass(frozen=True, slots=True)
class Wanted:
    """`demand`: what the floor and the calls ask for. `workers`: what min, max, budget and suspend make of it."""

    demand: int
    workers: int


def plan(seen: Observed) -> Sequence[Action]:
    """In this order. Nothing, when everything is as it should be."""
    deployment = seen.deployment
    if seen.deleting or (deployment is not None and not deployment.owned):
        return []
    workers = wanted(seen).workers
    if deployment is None:
        return [Apply(workers)]
    if workers < deployment.replicas:
        return [*_marks(seen), Apply(workers, deployment.resource_version)]
    if workers > deployment.replicas or not _is_as_written(seen):
        return [Apply(workers)]
    return []


def wanted(seen: Observed) -> Wanted:
    """Silent workers count as full when it comes to shrinking; growing on a guess would never end."""
    spec = seen.spec
    known = _demand(spec, seen.active_jobs)
    if spec.suspend:
        return Wanted(known, 0)
    workers = _clamped(spec, known)
    silent = sum(pod.active_jobs is None for pod in seen.workers)
    if silent and seen.deployment is not None:
        feared = _clamped(spec, _demand(spec, seen.active_jobs + silent * spec.jobs_per_worker))
        workers = max(workers, min(feared, seen.deployment.replicas))
    return Wanted(known, workers)


def ceiling(spec: Spec) -> int:
    """The most workers that max and the budget allow."""
    limits = [spec.maximum]
    if spec.max_workers is not None:
        limits.append(spec.max_workers)
    if spec.max_active_jobs is not None:
        limits.append(_divided(spec.max_active_jobs, spec.jobs_per_worker))
    return min(limits)


def _demand(spec: Spec, active_jobs: int) -> int:
    return max(spec.replicas, _divided(active_jobs + spec.warm_buffer, spec.jobs_per_worker))


def _clamped(spec: Spec, demand: int) -> int:
    return min(max(demand, spec.minimum), ceiling(spec))


def _divided(jobs: int, by: int) -> int:
    return -(-jobs // by)


def _marks(seen: Observed) -> list[Action]:
    return [Mark(pod.name, cost(seen.spec, pod)) for pod in seen.workers if pod.cost != cost(seen.spec, pod)]


def cost(spec: Spec, pod: Pod) -> int:
    """Its calls. One that does not answer may be full."""
    return spec.jobs_per_worker if pod.active_jobs is None else pod.active_jobs


def _is_as_written(seen: Observed) -> bool:
    """By us: its generation tells of any other hand, whatever it changed."""
    deployment = seen.deployment
    assert deployment is not None
    return deployment.digest == template.digest(seen) and deployment.generation == seen.deployment_generation
