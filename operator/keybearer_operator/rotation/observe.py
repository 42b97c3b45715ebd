"""Reads the world for the planner: the Secret, the consumers' pods and what they answer, the Jobs."""

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

from keybearer_operator.kube import DEPLOYMENTS, JOBS, PODS, SECRETS, STATEFUL_SETS, Kube, Object
from keybearer_operator.rotation import jobs, pods, secret, spec
from keybearer_operator.rotation.model import Consumer, Job, Mode, Observed, Pod, Type

WORKLOADS: Final = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS}

# Workers of pools hold no keys, and there may be thousands.
_NOT_A_WORKER = "keybearer.dev/role!=worker"
_ANSWER_SECONDS = 2.0
_ASKED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class World:
    """What the planner sees, and the objects that it was read from."""

    seen: Observed
    rotation: Object
    secret: Object | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A pod's answer; `life` tells whether the same containers still run."""

    life: tuple[str, ...]
    reports: str | None


class Observer:
    def __init__(self, kube: Kube, http: httpx2.AsyncClient) -> None:
        self._kube = kube
        self._http = http
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def look(self, rotation: Object) -> World:
        """Enough to say where a rotation stands. Before anything is changed, `look_closely`."""
        namespace, name = rotation["metadata"]["namespace"], rotation["metadata"]["name"]
        wanted = spec.spec(rotation)
        found = await self._kube.find(SECRETS, namespace, rotation["spec"]["secretRef"]["name"])
        content = secret.content(found, wanted.type) if found else None
        is_login = wanted.type is Type.POSTGRES_USER
        pending = await self._kube.find(SECRETS, namespace, pending_name(rotation)) if is_login else None
        annotations = rotation["metadata"].get("annotations", {})
        seen = Observed(
            now=datetime.now(UTC),
            name=name,
            spec=wanted,
            reported=spec.reported(rotation),
            content=content,
            consumers=tuple(
                [await self._consumer(rotation, each, wanted.type) for each in rotation["spec"]["consumers"]]
            ),
            jobs=await self._jobs(namespace, name),
            pending=secret.pending(pending),
            asked=annotations.get(spec.ROTATE_NOW, ""),
            accept=annotations.get(spec.ACCEPT, ""),
        )
        return World(seen, rotation, found)

    async def look_closely(self, rotation: Object) -> World:
        """With everything else that uses the Secret: what `look` leaves out because it lists all pods but workers."""
        world = await self.look(rotation)
        namespace, name = rotation["metadata"]["namespace"], rotation["metadata"]["name"]
        ours = set[str]()
        for each in rotation["spec"]["consumers"]:
            ours |= {pod["metadata"]["name"] for pod in await self._pods_of(namespace, each)}
        others = tuple(
            pod["metadata"]["name"]
            for pod in await self._kube.list_objects(PODS, namespace, _NOT_A_WORKER)
            if pods.uses(pod, rotation["spec"]["secretRef"]["name"])
            and not pods.is_finished(pod)
            and pod["metadata"]["name"] not in ours
            and pod["metadata"].get("labels", {}).get(jobs.ROTATION_LABEL) != name
        )
        return dataclasses.replace(world, seen=dataclasses.replace(world.seen, others=others))

    async def _consumer(self, rotation: Object, given: dict[str, Any], kind: Type) -> Consumer:
        namespace = rotation["metadata"]["namespace"]
        mode = Mode(given.get("mode", Mode.HOT_RELOAD))
        workload = await self._kube.find(WORKLOADS[given["kind"]], namespace, given["name"])
        if workload is None:
            return Consumer(given["kind"], given["name"], mode, found=False)
        selector = label_selector(workload)
        mark = pods.restart_annotation(rotation["metadata"]["name"])
        notice = pods.NOTICES.get(kind, "")
        first = await self._acknowledging(namespace, selector)
        if mode is Mode.RESTART:
            answers = {_name(pod): _Asked(pods.life(pod), _annotations(pod).get(mark, "")) for pod in first}
        else:
            asked = await asyncio.gather(*(self._ask(pod, kind) for pod in first))
            answers = dict(zip((_name(pod) for pod in first), asked, strict=True))
        # Again, after the last answer: whoever came meanwhile has not acknowledged.
        last = await self._acknowledging(namespace, selector) if first else []
        return Consumer(
            given["kind"],
            given["name"],
            mode,
            pods=tuple(Pod(_name(pod), _reports(answers, pod), _annotations(pod).get(notice, "")) for pod in last),
            restarted_for=_annotations(workload["spec"]["template"]).get(mark, ""),
            rolled_out=_rolled_out(workload),
        )

    async def _acknowledging(self, namespace: str, selector: str) -> list[Object]:
        there = await self._kube.list_objects(PODS, namespace, selector)
        return [pod for pod in there if pods.must_acknowledge(pod)]

    async def _pods_of(self, namespace: str, given: dict[str, Any]) -> list[Object]:
        workload = await self._kube.find(WORKLOADS[given["kind"]], namespace, given["name"])
        return await self._kube.list_objects(PODS, namespace, label_selector(workload)) if workload else []

    async def _ask(self, pod: Object, kind: Type) -> _Asked:
        where = pods.address(pod)
        reports = None
        if where is not None:
            async with self._asking:
                reports = await self._answer(where, kind)
        return _Asked(pods.life(pod), reports)

    async def _answer(self, where: str, kind: Type) -> str | None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await self._http.get(f"{where}/internal/keyring")
            document = answer.json() if answer.is_success else None
        except (httpx2.HTTPError, TimeoutError, ValueError):
            return None  # it has not acknowledged, which the status says
        return pods.reported(document, kind) if isinstance(document, dict) else None

    async def _jobs(self, namespace: str, name: str) -> dict[str, Job]:
        labels = f"{jobs.ROTATION_LABEL}={name}"
        found = await self._kube.list_objects(JOBS, namespace, labels)
        if not found:
            return {}
        there = await self._kube.list_objects(PODS, namespace, labels)
        return {
            _name(job): jobs.seen(job, [pod for pod in there if _belongs(pod, job)])
            for job in found
            if "deletionTimestamp" not in job["metadata"]
        }


def pending_name(rotation: Object) -> str:
    return f"{rotation['spec']['secretRef']['name']}-pending"


def label_selector(workload: Object) -> str:
    """As a query. The expressions of a selector are joined to its labels."""
    selector = workload["spec"]["selector"]
    terms = [f"{name}={value}" for name, value in sorted(selector.get("matchLabels", {}).items())]
    terms += [_expression(each) for each in selector.get("matchExpressions", ())]
    return ",".join(terms)


def _expression(each: dict[str, Any]) -> str:
    values = ",".join(each.get("values", ()))
    terms: dict[str, str] = {
        "In": f"{each['key']} in ({values})",
        "NotIn": f"{each['key']} notin ({values})",
        "Exists": each["key"],
        "DoesNotExist": f"!{each['key']}",
    }
    return terms[each["operator"]]


def _reports(answers: dict[str, _Asked], pod: Object) -> str | None:
    asked = answers.get(_name(pod))
    return asked.reports if asked is not None and asked.life == pods.life(pod) else None


def _rolled_out(workload: Object) -> bool:
    """As `kubectl rollout status` sees it."""
    status, wanted = workload.get("status", {}), workload["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return False
    if workload["kind"] == "StatefulSet" and status.get("currentRevision") != status.get("updateRevision"):
        return False
    replicas, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    return bool(updated >= wanted and replicas <= updated and status.get("availableReplicas", 0) >= updated)


def _belongs(pod: Object, job: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences", [])
    return any(owner["uid"] == job["metadata"]["uid"] for owner in owners)


def _annotations(what: Object) -> dict[str, str]:
    found: dict[str, str] = what.get("metadata", {}).get("annotations") or {}
    return found


def _name(what: Object) -> str:
    return str(what["metadata"]["name"])
