"""What a rotation works on: pods that read mounted Secrets as the backend does, and operators as processes."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.kube import RESTRICTED, TAG, Namespace
from keybearer_operator.rotation import material

CRDS = Path(__file__).parents[2] / "charts/keybearer/files/crds"

# What the backend does, as far as a rotation sees it: `serve` answers for the mounted folders, and Jobs run `keys …`.
CONSUMER = """
import base64, hashlib, json, http.server, pathlib, sys
if sys.argv[1] == "keys":
    if "rewrap" in sys.argv:
        pathlib.Path("/dev/termination-log").write_text(json.dumps({"total": 7, "remaining": 0}))
    sys.exit(0)
def held(folder, decoded):
    files = {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir() if not path.name.startswith(".")}
    primary = files.pop("primary").decode().strip()
    bare = {name: base64.b64decode(each) if decoded else each for name, each in files.items()}
    keys = {name: hashlib.sha256(each).hexdigest() for name, each in bare.items()}
    rows = [[name, digest, name == primary] for name, digest in sorted(keys.items())]
    text = json.dumps(rows, separators=(",", ":"))
    return {"revision": hashlib.sha256(text.encode()).hexdigest(), "primary": primary, "keys": keys}
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        login = pathlib.Path("/etc/database/username").read_text().strip()
        told = {**held("/etc/keyring", True), "signing": held("/etc/signing", False), "database": {"username": login}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 9090), Answer).serve_forever()
"""


@dataclass
class Operators:
    """`python -m keybearer_operator`, as many as are wanted."""

    namespace: str
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, **more: str) -> "subprocess.Popen[bytes]":
        """`more`: variables of its environment."""
        ports = {"KEYBEARER_OPERATOR_METRICS_PORT": _port(), "KEYBEARER_OPERATOR_HEALTH_PORT": _port()}
        given = {name: str(port) for name, port in ports.items()}
        environment = {**os.environ, **given, "KEYBEARER_OPERATOR_NAMESPACE": self.namespace, **more}
        process = subprocess.Popen([sys.executable, "-m", "keybearer_operator"], env=environment)
        self.running.append(process)
        return process

    def kill(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait(timeout=10)
        self.running.clear()


def rotation(name: str, kind: str, secret: str, mode: str = "HotReload", **changes: Any) -> dict[str, Any]:
    consumer = {"kind": "Deployment", "name": "backend", "mode": mode}
    spec = {"type": kind, "secretRef": {"name": secret}, "consumers": [consumer], **changes}
    return {
        "apiVersion": "keybearer.dev/v1alpha1",
        "kind": "SecretRotation",
        "metadata": {"name": name},
        "spec": spec,
    }


def rotate(namespace: Namespace, name: str, kind: str, *, secret: str = "", **changes: Any) -> None:
    namespace.apply(rotation(name, kind, secret or name, **changes))


def ask(namespace: Namespace, name: str, value: str) -> None:
    namespace.kubectl("annotate", "--overwrite", f"sr/{name}", f"keybearer.dev/rotate-now={name}-{value}")


def name_consumers(namespace: Namespace, name: str, consumers: list[dict[str, str]]) -> None:
    patch = json.dumps({"spec": {"consumers": consumers}})
    namespace.kubectl("patch", f"sr/{name}", "--type=merge", "-p", patch)


def status(namespace: Namespace, name: str) -> dict[str, Any]:
    found: dict[str, Any] = namespace.get("secretrotation", name).get("status", {})
    return found


def condition(namespace: Namespace, name: str, kind: str) -> dict[str, Any]:
    return next((each for each in status(namespace, name).get("conditions", []) if each["type"] == kind), {})


def idle(namespace: Namespace, name: str) -> dict[str, Any]:
    """Its status, when nothing is left to do."""
    wanted = {"Ready": "True", "Rotating": "False", "ConsumersConverged": "True", "Degraded": "False"}

    def settled() -> bool:
        now = {each["type"]: each["status"] for each in status(namespace, name).get("conditions", [])}
        return wanted.items() <= now.items()

    until(namespace, settled, name)
    return status(namespace, name)


def rotated(namespace: Namespace, name: str, before: str) -> dict[str, Any]:
    until(namespace, lambda: status(namespace, name).get("activeKeyID") not in {None, before}, name)
    return idle(namespace, name)


def waits_for(namespace: Namespace, name: str, kind: str, reason: str, holds: str = "True") -> dict[str, Any]:
    def there() -> bool:
        found = condition(namespace, name, kind)
        return (found.get("status"), found.get("reason")) == (holds, reason)

    until(namespace, there, name)
    return condition(namespace, name, kind)


def until(namespace: Namespace, question: Callable[[], bool], name: str) -> None:
    try:
        namespace.until(question, seconds=90)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{namespace.kubectl('describe', f'sr/{name}')}") from None


def killed_at_every_step(namespace: Namespace, operators: Operators, name: str, asked: str) -> Iterator[str]:
    """The operator is killed and started again at each step that its status tells of, and at each written Secret."""
    before = status(namespace, name)["activeKeyID"]
    ask(namespace, name, asked)
    last = ("", "")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        told = status(namespace, name)
        version = namespace.get("secret", name)["metadata"]["resourceVersion"]
        if (told["step"], version) != last:
            last = (told["step"], version)
            yield told["step"]
            if told["step"] == "Idle" and told["activeKeyID"] != before:
                return
            operators.kill()
            operators.start()
        time.sleep(0.1)
    raise AssertionError(namespace.kubectl("describe", f"sr/{name}"))


def staged(namespace: Namespace, name: str) -> list[str]:
    """Messages of the events that tell of a new key."""
    events = namespace.items("events")
    return [
        each["message"] for each in events if each["involvedObject"]["name"] == name and each["reason"] == "KeyStaged"
    ]


def secrets() -> list[dict[str, Any]]:
    return [
        keyring_secret("keyring"),
        opaque("signing", {"k1": material.new_signing_key().decode(), "primary": "k1\n"}),
        opaque("database", {"username": "keybearer_app_a", "password": "first"}),
        opaque("other", {"token": "first"}),
    ]


def keyring_secret(name: str, key_id: str = "k1") -> dict[str, Any]:
    return opaque(name, {key_id: material.new_encryption_key().decode(), "primary": f"{key_id}\n"})


def opaque(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def deployment(name: str = "backend") -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": name}
    mounted = ("keyring", "signing", "database")
    container = {
        "name": "backend",
        "image": f"keybearer/sandbox:{TAG}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-u", "-c", CONSUMER],
        "args": ["serve"],
        "securityContext": RESTRICTED,
        "ports": [{"name": "internal", "containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "internal"}, "periodSeconds": 1},
        "volumeMounts": [{"name": each, "mountPath": f"/etc/{each}", "readOnly": True} for each in mounted],
    }
    if name != "backend":
        del container["readinessProbe"]
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": each, "secret": {"secretName": each}} for each in mounted],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2 if name == "backend" else 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
