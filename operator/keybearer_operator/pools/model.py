"""What the planner sees, and what it may ask for. Nothing here does anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keybearer_operator import names

HASH_LABEL: Final = "pod-template-hash"
DIGEST: Final = f"{names.GROUP}/pool-digest"
"""Annotation of a Deployment: what it was made from, its number of workers apart."""

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
GRACE_BEYOND_DRAIN: Final = 330
"""Seconds: livekit-agents gives a job's end 300 and its process 10 after the drain."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A valid pool's spec. `template` is as it was written; the schema has filled in the defaults of the rest."""

    agent_name: str
    template: Mapping[str, Any]
    url: str
    credentials: str
    key_entry: str = "api-key"
    secret_entry: str = "api-secret"  # noqa: S105 - the name of an entry
    replicas: int = 1
    jobs_per_worker: int = 4
    warm_buffer: int = 1
    minimum: int = 1
    maximum: int = 10
    max_surge: int | str = "25%"
    drain_seconds: int = 3600
    max_active_jobs: int | None = None
    max_workers: int | None = None
    suspend: bool = False
    allow_privileged: bool = False

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Spec":
        capacity, budget, credentials = spec["capacity"], spec.get("budget", {}), spec["livekit"]["credentialsRef"]
        return cls(
            agent_name=spec["agentName"],
            template=spec["template"],
            url=spec["livekit"]["url"],
            credentials=credentials["name"],
            key_entry=credentials["keyEntry"],
            secret_entry=credentials["secretEntry"],
            replicas=spec["replicas"],
            jobs_per_worker=capacity["jobsPerWorker"],
            warm_buffer=capacity["warmBuffer"],
            minimum=capacity["min"],
            maximum=capacity["max"],
            max_surge=spec["updateStrategy"]["maxSurge"],
            drain_seconds=spec["drain"]["timeoutSeconds"],
            max_active_jobs=budget.get("maxActiveJobs"),
            max_workers=budget.get("maxWorkers"),
            suspend=spec["suspend"],
            allow_privileged=spec["allowPrivileged"],
        )


@dataclass(frozen=True, slots=True)
class Pod:
    """One worker. `active_jobs` is None where it runs and does not say; `cost` is its deletion cost.

    `trouble`: why its container waits, such as ImagePullBackOff, with the kubelet's words.
    """

    name: str
    version: str
    ready: bool
    running: bool
    terminating: bool
    active_jobs: int | None = 0
    cost: int = 0
    trouble: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A ReplicaSet: `name` is the hash of its template."""

    name: str
    revision: int
    image: str
    replicas: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """`owned`: it is this pool's. `settled`: its controller has nothing left to do. `trouble`: what it fails at."""

    replicas: int
    digest: str
    generation: int
    resource_version: str
    owned: bool = True
    settled: bool = True
    trouble: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """`deployment_generation`: the Deployment's after our last write, as the status says; 0 before the first."""

    name: str
    uid: str
    spec: Spec
    deployment: Deployment | None = None
    deployment_generation: int = 0
    deleting: bool = False
    versions: tuple[Version, ...] = ()
    pods: tuple[Pod, ...] = ()

    @property
    def active_jobs(self) -> int:
        """Calls in progress that are known of, those on draining workers included."""
        return sum(pod.active_jobs or 0 for pod in self.pods)

    @property
    def workers(self) -> tuple[Pod, ...]:
        """Those that may take calls: what is ending takes none."""
        return tuple(pod for pod in self.pods if not pod.terminating)

    @property
    def draining(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.pods if pod.terminating)


@dataclass(frozen=True, slots=True)
class Mark:
    """Sets a pod's deletion cost: its Deployment takes the cheapest away first."""

    pod: str
    cost: int


@dataclass(frozen=True, slots=True)
class Apply:
    """Writes the whole Deployment. With `version` only where its resourceVersion is still that one."""

    replicas: int
    version: str | None = None


Action = Mark | Apply
