"""A cluster as the tests drive it: kubectl, helm, forwarded ports, and load from inside."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
from keybearer_operator.kube import (
    AGENT_POOLS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    SECRET_ROTATIONS,
    SECRETS,
)
from keybearer_operator.login import login

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts" / "keybearer"
TAG = os.environ.get("KEYBEARER_TEST_TAG", "dev")
PATIENCE_SECONDS = 180

_RESOURCES = {
    name: each
    for each in (PODS, SECRETS, JOBS, EVENTS, DEPLOYMENTS, REPLICA_SETS, SECRET_ROTATIONS, AGENT_POOLS)
    for name in (each.kind.lower(), each.plural)
}

RESTRICTED: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def run(*command: str, given: str | None = None, check: bool = True) -> str:
    """The standard output; what went wrong is in the failure."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=600, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command[:8])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def tried(*what: str, given: str | None = None) -> tuple[list[str], list[str]]:
    """What the API server says of objects, one by one, and what it warns of; it keeps none of them."""
    command = ["kubectl", "apply", "--dry-run=server", "--validate=strict", *what]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    # Of objects that are there already: who applied them before, and how, is not looked at.
    warnings = [line for line in done.stderr.splitlines() if "last-applied-configuration" not in line]
    return done.stdout.splitlines(), warnings


def reachable() -> bool:
    """Whether KUBECONFIG names a cluster that answers."""
    if shutil.which("kubectl") is None:
        return False
    asked = ["kubectl", "version", "--request-timeout=5s"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@cache
def _client() -> httpx2.Client:
    """Whoever KUBECONFIG says that we are."""
    info = login()
    return httpx2.Client(
        base_url=info.server, verify=info.as_ssl_context(), headers=info.as_http_headers(), trust_env=False
    )


def _read(path: str, selector: str = "") -> Any:
    answer = _client().get(path, params={"labelSelector": selector} if selector else {})
    assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
    return answer.json()


@dataclass(frozen=True)
class Namespace:
    """A namespace of the test's own, under Pod Security "restricted"."""

    name: str

    def kubectl(self, *arguments: str, given: str | None = None, check: bool = True) -> str:
        return run("kubectl", "--namespace", self.name, *arguments, given=given, check=check)

    def get(self, kind: str, name: str) -> Any:
        """Asks the API server itself: tests wait by asking twice a second, and a kubectl costs a tenth of one."""
        return _read(_RESOURCES[kind].path(self.name, name))

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _read(_RESOURCES[kind].path(self.name), selector)["items"]
        return found

    def everything(self, kinds: str) -> list[dict[str, Any]]:
        """Of several kinds, as kubectl names them, separated by commas."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kinds, "-o", "json"))["items"]
        return found

    def helm(self, *arguments: str, check: bool = True) -> str:
        return run("helm", "--namespace", self.name, *arguments, check=check)

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def rolled_out(self, what: str) -> None:
        self.kubectl("rollout", "status", what, f"--timeout={PATIENCE_SECONDS}s")

    def until(self, question: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
        """Asks again and again; fails with the question's last answer."""
        deadline = time.monotonic() + seconds
        while not (answer := question()):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {seconds} s: {answer!r}\n{self.kubectl('get', 'pods,jobs', '-o', 'wide')}"
                )
            time.sleep(0.5)

    def program(
        self,
        name: str,
        script: str,
        *arguments: str,
        image: str = "keybearer/sandbox",
        env: Sequence[dict[str, Any]] = (),
    ) -> "Program":
        """Runs Python inside the cluster, in a pod that belongs to nothing of the release."""
        container = {
            "name": "program",
            "image": f"{image}:{TAG}",
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-u", "-c", script, *arguments],
            "env": list(env),
            "securityContext": RESTRICTED,
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 5,
                "containers": [container],
            },
        }
        self.apply(pod)
        return Program(self, name)


@dataclass(frozen=True)
class Program:
    namespace: Namespace
    name: str

    def phase(self) -> str:
        return str(self.namespace.get("pod", self.name)["status"].get("phase"))

    def started(self) -> None:
        self.namespace.until(lambda: self.phase() != "Pending")

    def finished(self) -> str:
        """What it printed."""
        self.namespace.until(lambda: self.phase() in {"Succeeded", "Failed"})
        printed = self.namespace.kubectl("logs", self.name)
        assert self.phase() == "Succeeded", printed
        self.namespace.kubectl("delete", "pod", self.name, "--wait=false")
        return printed


@dataclass
class Forward:
    """`kubectl port-forward`, started again whenever the pod behind it went."""

    namespace: Namespace
    service: str
    local: int
    remote: int
    kind: str = "service"
    _ended: threading.Event = field(default_factory=threading.Event)
    _process: "subprocess.Popen[bytes] | None" = None

    def keep(self) -> None:
        while not self._ended.is_set():
            command = ["kubectl", "-n", self.namespace.name, "port-forward", f"{self.kind}/{self.service}"]
            self._process = subprocess.Popen(
                [*command, f"{self.local}:{self.remote}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while self._process.poll() is None and not self._ended.wait(0.2):
                # It notices that its pod has gone only when somebody connects.
                pass
            self._ended.wait(0.2)

    def end(self) -> None:
        self._ended.set()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.local), timeout=2):
            return True
        return False


@contextmanager
def forwarded(namespace: Namespace, service: str, local: int, remote: int, kind: str = "service") -> Iterator[Forward]:
    forward = Forward(namespace, service, local, remote, kind)
    keeper = threading.Thread(target=forward.keep, daemon=True)
    keeper.start()
    try:
        namespace.until(forward.answers, seconds=60)
        yield forward
    finally:
        forward.end()
        keeper.join(timeout=15)


@contextmanager
def namespaced(prefix: str) -> Iterator[Namespace]:
    name = f"{prefix}-{os.getpid()}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    run("kubectl", "apply", "-f", "-", given=json.dumps(document))
    try:
        yield Namespace(name)
    finally:
        run("kubectl", "delete", "namespace", name, "--wait=false")


def values_file(values: dict[str, Any]) -> str:
    """JSON is YAML; the path of a file that helm may read."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        json.dump(values, file)
    return file.name
