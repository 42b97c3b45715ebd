"""Reads a pool's Deployment, its versions and pods, and asks each worker how many calls it has."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from keybearer_operator import names
from keybearer_operator.controller import own_key
from keybearer_operator.kube import DEPLOYMENTS, Kube, Object
from keybearer_operator.mirror import Mirror
from keybearer_operator.names import Key
from keybearer_operator.pools import template
from keybearer_operator.pools.model import (
    DELETION_COST,
    DIGEST,
    HASH_LABEL,
    Deployment,
    Observed,
    Pod,
    Spec,
    Version,
)

_ANSWER_SECONDS: Final = 2.0
_TROUBLES: Final = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}


def pool_of(found: Object) -> Key:
    return Key(found["metadata"]["namespace"], found["metadata"]["labels"][names.POOL])


def _pod(found: Object) -> Object:
    return {"status": found.get("status", {})}


def _deployment(found: Object) -> Object:
    return {"spec": {"replicas": found["spec"]["replicas"]}, "status": found.get("status", {})}


def _version(found: Object) -> Object:
    spec = found["spec"]
    return {"replicas": spec["replicas"], "image": spec["template"]["spec"]["containers"][0].get("image", "")}


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Of a Deployment, a ReplicaSet and a pod, what is read here alone: thousands of them are kept."""

    pools: Mirror = field(default_factory=lambda: Mirror(own_key))
    deployments: Mirror = field(default_factory=lambda: Mirror(own_key, _deployment))
    versions: Mirror = field(default_factory=lambda: Mirror(pool_of, _version))
    pods: Mirror = field(default_factory=lambda: Mirror(pool_of, _pod))


class Observer:
    """`http` leads to pods."""

    def __init__(self, kube: Kube, http: httpx2.AsyncClient, mirrors: Mirrors) -> None:
        self._kube = kube
        self._http = http
        self._mirrors = mirrors

    async def look(self, pool: Object) -> Observed:
        metadata, status = pool["metadata"], pool.get("status", {})
        key = own_key(pool)
        # A Deployment of another hand has this name and not our label: it must be seen before one is made.
        found = self._mirrors.deployments.one(key) or await self._kube.find(DEPLOYMENTS, *key)
        pods = self._mirrors.pods.of(key)
        living = [pod for pod in pods if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}]
        return Observed(
            name=key.name,
            uid=metadata["uid"],
            spec=Spec.of(pool["spec"]),
            deployment=deployment_of(found, metadata["uid"]) if found else None,
            deployment_generation=status.get("deploymentGeneration", 0),
            deleting="deletionTimestamp" in metadata,
            versions=tuple(_version_of(each) for each in self._mirrors.versions.of(key)),
            pods=tuple(await asyncio.gather(*(self._pod(each) for each in living))),
        )

    async def _pod(self, pod: Object) -> Pod:
        metadata = pod["metadata"]
        running = any("running" in state for state in _states(pod))
        return Pod(
            name=metadata["name"],
            version=metadata["labels"].get(HASH_LABEL, ""),
            ready=any(each["type"] == "Ready" and each["status"] == "True" for each in _conditions(pod)),
            running=running,
            terminating="deletionTimestamp" in metadata,
            active_jobs=await self._jobs(pod) if running else 0,
            cost=_number(metadata.get("annotations", {}).get(DELETION_COST)),
            trouble=trouble_of(pod),
        )

    async def _jobs(self, pod: Object) -> int | None:
        """None where the worker does not say."""
        address = pod["status"].get("podIP", "")
        host = f"[{address}]" if ":" in address else address
        try:
            answer = await self._http.get(f"http://{host}:{template.FACTS_PORT}/worker", timeout=_ANSWER_SECONDS)
            return jobs_in(answer.raise_for_status().json())
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
            return None


def jobs_in(facts: Any) -> int | None:
    """Calls, as livekit-agents tells them: without the entry there are none, and 2 is written 2.0."""
    jobs = facts.get("active_jobs", 0) if isinstance(facts, dict) else None
    if isinstance(jobs, bool) or not isinstance(jobs, int | float):
        return None
    return int(jobs) if jobs >= 0 and float(jobs).is_integer() else None


def deployment_of(found: Object, pool_uid: str) -> Deployment:
    metadata, spec, status = found["metadata"], found["spec"], found.get("status", {})
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return Deployment(
        replicas=spec["replicas"],
        digest=metadata.get("annotations", {}).get(DIGEST, ""),
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        owned=any(owner["uid"] == pool_uid for owner in metadata.get("ownerReferences", ())),
        settled=status.get("observedGeneration") == metadata["generation"] and counts == {spec["replicas"]},
        trouble=next(_failures(found), None),
    )


def trouble_of(pod: Object) -> tuple[str, str] | None:
    """Why it does not run, with the kubelet's or the scheduler's words."""
    name = pod["metadata"]["name"]
    for waiting in (state["waiting"] for state in _states(pod) if "waiting" in state):
        if waiting.get("reason") in _TROUBLES:
            return waiting["reason"], f"{name}: {waiting.get('message', waiting['reason'])}"
    for each in _conditions(pod):
        if each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable":
            return "Unschedulable", f"{name}: {each.get('message', '')}"
    return None


def _failures(found: Object) -> Iterator[tuple[str, str]]:
    for each in _conditions(found):
        if each["type"] == "ReplicaFailure" and each["status"] == "True":
            yield each.get("reason", "ReplicaFailure"), each.get("message", "")


def _version_of(kept: Object) -> Version:
    metadata = kept["metadata"]
    return Version(
        name=metadata["labels"].get(HASH_LABEL, ""),
        revision=_number(metadata.get("annotations", {}).get("deployment.kubernetes.io/revision")),
        image=kept["image"],
        replicas=kept["replicas"],
    )


def _conditions(what: Object) -> list[Any]:
    found: list[Any] = what.get("status", {}).get("conditions", [])
    return found


def _states(pod: Object) -> list[Any]:
    status = pod.get("status", {})
    return [
        each.get("state", {})
        for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    ]


def _number(text: str | None) -> int:
    """Of an annotation, which anybody may have written."""
    try:
        return int(text or 0)
    except ValueError:
        return 0
