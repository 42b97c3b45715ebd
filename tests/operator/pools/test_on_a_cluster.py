"""Pools on the cluster that KUBECONFIG names: what its API server refuses, and a pool's life with pods and their facts.

The pods run a few lines of Python in the backend's image, which answer and drain as a worker does; calls at a real
LiveKit server are in tests/agent_worker.
"""

import asyncio
import contextlib
import copy
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from cluster.documented import check, described, listed
from cluster.kube import run
from keybearer_operator import conditions, controller
from keybearer_operator.kube import AGENT_POOLS, DEPLOYMENTS, PODS, SECRETS, Kube, Object, connected
from keybearer_operator.lease import Lease
from keybearer_operator.login import login
from keybearer_operator.pools import reconcile
from keybearer_operator.work import Work

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

TAG = os.environ.get("KEYBEARER_TEST_TAG", "dev")
CRD = Path(__file__).parents[3] / "charts/keybearer/files/crds/agentpool.yaml"
PATIENCE = 60.0
WORKER = """
import json, os, signal, threading, time, http.server
class Facts(http.server.BaseHTTPRequestHandler):
    jobs, asked = 0, threading.Event()
    def do_GET(self):
        jobs = int(self.path[6:]) if self.path.startswith("/jobs/") else Facts.jobs
        body = json.dumps({"active_jobs": float(jobs)} if jobs else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        Facts.jobs = jobs  # with none left, it may end at once
    def log_message(self, *_):
        pass
signal.signal(signal.SIGTERM, lambda *_: Facts.asked.set())
threading.Thread(target=http.server.ThreadingHTTPServer(("", 8081), Facts).serve_forever, daemon=True).start()
while not Facts.asked.is_set() or Facts.jobs:
    time.sleep(0.1)
"""
POOL: Object = {
    "apiVersion": AGENT_POOLS.api_version,
    "kind": AGENT_POOLS.kind,
    "metadata": {"name": "aide"},
    "spec": {
        "agentName": "aide",
        "capacity": {"jobsPerWorker": 2, "max": 3},
        "livekit": {"url": "ws://livekit:7880", "credentialsRef": {"name": "livekit"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "aide",
                        "image": f"keybearer/backend:{TAG}",
                        "command": ["/opt/keybearer/bin/python", "-c", WORKER],
                        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                    }
                ]
            }
        },
    },
}


@pytest.fixture(scope="module", autouse=True)
def kind() -> None:
    """Of this working tree."""
    subprocess.run(["kubectl", "apply", "--server-side", "--force-conflicts", "-f", CRD], check=True)


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with connected(login) as kube:
        yield kube


@pytest.fixture
async def namespace(kube: Kube) -> AsyncIterator[str]:
    name = f"op-pools-{uuid4().hex[:6]}"
    async with httpx2.AsyncClient(base_url=login().server, verify=login().as_ssl_context(), trust_env=False) as client:
        (await client.post("/api/v1/namespaces", json={"metadata": {"name": name}})).raise_for_status()
        try:
            yield name
        finally:
            await client.delete(f"/api/v1/namespaces/{name}")


@contextlib.asynccontextmanager
async def operator(kube: Kube, namespace: str) -> AsyncIterator[None]:
    """Reconciles the namespace's pools every second, as their events would have it."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        lease = Lease(kube, namespace)
        made = reconcile.make(kube, lease, http)
        work = Work("AgentPool", made.reconcile, lease, resync=1.0)

        async def renew() -> None:
            while True:
                await controller.resync(kube, made, work, namespace)
                await asyncio.sleep(0.5)

        tasks = [asyncio.create_task(each) for each in (lease.keep(), work.run(), renew())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(kube: Kube, namespace: str, holds: Callable[[Object], bool]) -> Object:
    """The pool's status once it holds."""
    pool: Object = {}
    for _ in range(int(PATIENCE / 0.5)):
        pool = await kube.get(AGENT_POOLS, namespace, "aide")
        if pool.get("status") and holds(pool["status"]):
            return pool["status"]
        await asyncio.sleep(0.5)
    raise AssertionError(f"waited {PATIENCE:.0f} s in vain; the status is {pool.get('status')}")


async def until_mended(kube: Kube, namespace: str, *, replicas: int, ready_seconds: int) -> None:
    for _ in range(int(PATIENCE / 0.5)):
        spec = (await kube.get(DEPLOYMENTS, namespace, "aide"))["spec"]
        if (spec["replicas"], spec["minReadySeconds"]) == (replicas, ready_seconds):
            return
        await asyncio.sleep(0.5)
    raise AssertionError("another hand's edit stays")


def says(status: Object, kind: str) -> tuple[str, str]:
    found = conditions.find(status["conditions"], kind)
    assert found is not None
    return found["status"], found["reason"]


async def workers(kube: Kube, namespace: str) -> dict[str, str]:
    """Addresses of those that are not ending, by name."""
    pods = await kube.list_objects(PODS, namespace, "keybearer.dev/agentpool=aide")
    return {
        pod["metadata"]["name"]: pod["status"]["podIP"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"] and "podIP" in pod["status"]
    }


async def set_jobs(address: str, jobs: int) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        (await client.get(f"http://{address}:8081/jobs/{jobs}")).raise_for_status()


def shown(namespace: str, title: str) -> None:
    """docs/pool-states.md shows this."""
    name = ("--namespace", namespace, "agentpool", "aide")
    check("pool-states.md", title, listed(run("kubectl", "get", *name)), described(run("kubectl", "describe", *name)))


async def test_a_pools_life(kube, namespace):
    await kube.create(SECRETS, namespace, {"metadata": {"name": "livekit"}, "stringData": {"api-key": "k"}})
    await kube.create(AGENT_POOLS, namespace, POOL)
    async with operator(kube, namespace):
        status = await until(kube, namespace, lambda status: says(status, "Available")[0] == "False")
        status = await until(
            kube, namespace, lambda status: says(status, "Progressing")[1] == "CreateContainerConfigError"
        )
        shown(namespace, "A worker cannot start")
        await kube.patch(SECRETS, namespace, "livekit", {"stringData": {"api-secret": "s"}})
        status = await until(kube, namespace, lambda status: says(status, "Progressing") == ("False", "Settled"))
        assert (status["replicas"], status["readyReplicas"], status["activeJobs"]) == (1, 1, 0)
        assert says(status, "Available") == ("True", "WorkersReady")
        shown(namespace, "At work")

        (first,) = await workers(kube, namespace)
        await set_jobs((await workers(kube, namespace))[first], 2)
        await until(kube, namespace, lambda status: status["readyReplicas"] == 2 and status["activeJobs"] == 2)
        (second,) = set(await workers(kube, namespace)) - {first}
        await set_jobs((await workers(kube, namespace))[second], 1)
        await set_jobs((await workers(kube, namespace))[first], 0)
        await until(kube, namespace, lambda status: status["replicas"] == 1 and status["drainingReplicas"] == 0)
        assert set(await workers(kube, namespace)) == {second}, "the one with the call stays"

        busy = (await workers(kube, namespace))[second]
        await kube.patch(AGENT_POOLS, namespace, "aide", {"spec": {"agentName": "aide-2"}})
        status = await until(
            kube,
            namespace,
            lambda status: status["drainingReplicas"] == 1 and says(status, "Progressing")[1] == "Settled",
        )
        assert [(each["phase"], each["activeJobs"]) for each in status["versions"]] == [("Current", 0), ("Draining", 1)]
        assert says(status, "Drained") == ("False", "Draining")
        shown(namespace, "A new version, while a call goes on")
        await asyncio.sleep(3)
        await set_jobs(busy, 1)  # it answers still: the call goes on
        await set_jobs(busy, 0)
        status = await until(kube, namespace, lambda status: says(status, "Drained")[0] == "True")
        assert [each["phase"] for each in status["versions"]] == ["Current"]

        await kube.patch(DEPLOYMENTS, namespace, "aide", {"spec": {"replicas": 3, "minReadySeconds": 77}})
        await until_mended(kube, namespace, replicas=1, ready_seconds=5)

        await kube.patch(AGENT_POOLS, namespace, "aide", {"spec": {"suspend": True}})
        status = await until(kube, namespace, lambda status: status["replicas"] == status["drainingReplicas"] == 0)
        assert says(status, "Available") == ("False", "Suspended")
        shown(namespace, "Suspended")


def changed(path: str, value: object) -> Object:
    pool = copy.deepcopy(POOL)
    place = pool["spec"]
    *parts, last = path.split(".")
    for part in parts:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[last] = value
    return pool


CONTAINER = "template.spec.containers.0.securityContext"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("capacity.min", 4, "spec.capacity.min is greater than spec.capacity.max"),
        ("budget.maxWorkers", 0, "spec.budget.maxWorkers"),
        ("budget", {"maxWorkers": 1}, None),
        ("replicas", -1, "spec.replicas"),
        ("drain.timeoutSeconds", 0, "spec.drain.timeoutSeconds"),
        ("template.spec.terminationGracePeriodSeconds", 3929, "leave it out, and it is that sum"),
        ("template.spec.terminationGracePeriodSeconds", 3930, None),
        ("template.spec.hostNetwork", True, "need spec.allowPrivileged: true"),
        ("template.spec.volumes", [{"name": "x", "hostPath": {"path": "/"}}], "hostPath volume needs"),
        ("template.spec.securityContext.runAsUser", 0, "loosens runAsNonRoot"),
        ("template.spec.securityContext.runAsUser", 1000, None),
        ("template.spec.securityContext.seccompProfile", {"type": "Unconfined"}, "loosens runAsNonRoot"),
        (f"{CONTAINER}.privileged", True, "loosens what workers run with"),
        (f"{CONTAINER}.allowPrivilegeEscalation", True, "loosens what workers run with"),
        (f"{CONTAINER}.readOnlyRootFilesystem", False, "loosens what workers run with"),
        (f"{CONTAINER}.capabilities", {"add": ["NET_ADMIN"]}, "loosens what workers run with"),
        (f"{CONTAINER}.capabilities", {"drop": ["NET_RAW"]}, "loosens what workers run with"),
        (f"{CONTAINER}.capabilities", {"drop": ["ALL"]}, None),
        ("template.spec.initContainers", [{"name": "i", "securityContext": {"privileged": True}}], "loosens"),
        ("updateStrategy.maxSurge", "0%", "maxSurge must be"),
        ("updateStrategy.maxSurge", 0, "maxSurge must be"),
        ("updateStrategy.maxSurge", 2, None),
        ("livekit.url", "livekit:7880", "must begin with ws://"),
        ("template.spec.restartPolicy", "Never", "restartPolicy"),
    ],
)
def test_what_the_api_server_refuses(path, value, said, refusal):
    assert (refusal(changed(path, value)) is None) == (said is None)
    if said is not None:
        assert said in refusal(changed(path, value))


@pytest.fixture
def refusal() -> Callable[[Object], str | None]:
    """What the API server says to a pool, or None where it takes it; nothing is kept."""
    info = login()
    client = httpx2.Client(base_url=info.server, verify=info.as_ssl_context(), trust_env=False)

    def ask(pool: Object) -> str | None:
        answer = client.post(f"{AGENT_POOLS.path('default')}?dryRun=All", json=pool)
        return None if answer.is_success else str(answer.json()["message"])

    with client:
        yield ask
