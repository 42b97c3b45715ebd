"""The Deployment of a pool: the template as it was written, what a worker needs to know, and what it may not do."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from keybearer_operator import names
from keybearer_operator.pools.model import DIGEST, GRACE_BEYOND_DRAIN, Observed, Spec

FACTS_PORT: Final = 8081
METRICS_PORT: Final = 9091
READY_SECONDS: Final = 5
"""A worker is ready some moments before LiveKit knows it; the one that it replaces stays so much longer."""

_TMP: Final = "keybearer-tmp"
_RESOURCES: Final = {"cpu": "1", "memory": "2Gi"}
_POD_SECURITY: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER_SECURITY: Final = {
    "privileged": False,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_PROBE: Final = {"httpGet": {"path": "/", "port": FACTS_PORT}, "periodSeconds": 5, "timeoutSeconds": 3}


def selector(pool: str) -> dict[str, str]:
    return {names.POOL: pool}


def deployment(seen: Observed, replicas: int) -> dict[str, Any]:
    """The manifest for server-side apply; the same for the same pool, its `replicas` apart."""
    spec = {
        "selector": {"matchLabels": selector(seen.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": seen.spec.max_surge}},
        "minReadySeconds": READY_SECONDS,
        "template": _template(seen),
    }
    owner = {
        "apiVersion": names.API_VERSION,
        "kind": "AgentPool",
        "name": seen.name,
        "uid": seen.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": seen.name,
        "labels": {**selector(seen.name), names.MANAGED_BY: names.MANAGER},
        "annotations": {DIGEST: digest(seen)},
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, "spec": {**spec, "replicas": replicas}}


def digest(seen: Observed) -> str:
    """Of everything that a new version of the pool's workers, or of this operator, changes."""
    made_from = {"template": _template(seen), "maxSurge": seen.spec.max_surge, "minReadySeconds": READY_SECONDS}
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:32]


def _template(seen: Observed) -> dict[str, Any]:
    written = deepcopy(dict(seen.spec.template))
    metadata = written.get("metadata", {})
    # The cluster's autoscaler waits 10 minutes for a pod, however long its grace period is.
    annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", **metadata.get("annotations", {})}
    ours = {**selector(seen.name), names.MANAGED_BY: names.MANAGER, names.ROLE: "worker"}
    labels = {**metadata.get("labels", {}), **ours}
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod(seen.spec, written["spec"])}


def _pod(spec: Spec, written: dict[str, Any]) -> dict[str, Any]:
    secure = _defaulted if spec.allow_privileged else _forced
    worker, *others = written["containers"]
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": spec.drain_seconds + GRACE_BEYOND_DRAIN,
        **written,
        "securityContext": secure(written.get("securityContext", {}), _POD_SECURITY),
        "containers": [_contained(each, secure) for each in (_worker(spec, worker), *others)],
        "volumes": _with(written.get("volumes", []), "name", [{"name": _TMP, "emptyDir": {}}]),
    }
    if "initContainers" in written:
        pod["initContainers"] = [_contained(each, secure) for each in written["initContainers"]]
    return pod


def _worker(spec: Spec, written: dict[str, Any]) -> dict[str, Any]:
    """What is ours to say replaces what the template says; the rest is a default."""
    known = {each["name"] for each in written.get("env", [])}
    defaults = [each for each in _defaults() if each["name"] not in known]
    ports = [
        {"name": name, "containerPort": number, "protocol": "TCP"}
        for name, number in (("worker", FACTS_PORT), ("metrics", METRICS_PORT))
        if number not in {each["containerPort"] for each in written.get("ports", [])}
    ]
    mounts = written.get("volumeMounts", [])
    if "/tmp" not in {each["mountPath"] for each in mounts}:  # noqa: S108 - the pod's own
        mounts = [*mounts, {"name": _TMP, "mountPath": "/tmp"}]  # noqa: S108
    return {
        "readinessProbe": _PROBE,
        "resources": {"requests": _RESOURCES, "limits": _RESOURCES},
        **written,
        "env": _with(written.get("env", []), "name", [*defaults, *_told(spec)]),
        "ports": [*written.get("ports", []), *ports],
        "volumeMounts": mounts,
    }


def _told(spec: Spec) -> list[dict[str, Any]]:
    def entry(name: str) -> dict[str, Any]:
        return {"secretKeyRef": {"name": spec.credentials, "key": name}}

    return [
        {"name": "LIVEKIT_URL", "value": spec.url},
        {"name": "LIVEKIT_API_KEY", "valueFrom": entry(spec.key_entry)},
        {"name": "LIVEKIT_API_SECRET", "valueFrom": entry(spec.secret_entry)},
        {"name": "LIVEKIT_AGENT_NAME_OVERRIDE", "value": spec.agent_name},
        {"name": "KEYBEARER_JOBS_PER_WORKER", "value": str(spec.jobs_per_worker)},
        {"name": "KEYBEARER_DRAIN_SECONDS", "value": str(spec.drain_seconds)},
        {"name": "KEYBEARER_WORKER_PORT", "value": str(FACTS_PORT)},
    ]


def _defaults() -> list[dict[str, Any]]:
    return [
        {"name": "HOME", "value": "/tmp"},  # noqa: S108 - nothing else can be written
        {"name": "KEYBEARER_METRICS_PORT", "value": str(METRICS_PORT)},
        {"name": "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "value": "0"},
        {"name": "PROMETHEUS_MULTIPROC_DIR", "value": "/tmp/metrics"},  # noqa: S108
    ]


def _contained(written: Mapping[str, Any], secure: Any) -> dict[str, Any]:
    return {**written, "securityContext": secure(written.get("securityContext", {}), _CONTAINER_SECURITY)}


def _forced(written: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The API server refuses templates that say otherwise; this holds for those that it took before it did."""
    return {**written, **ours}


def _defaulted(written: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    return {**ours, **written}


def _with(written: Sequence[Mapping[str, Any]], key: str, ours: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    replaced = {each[key] for each in ours}
    return [*(each for each in written if each[key] not in replaced), *ours]
