"""The operator as a process against a real API server, with pods that read a mounted Secret as the backend does."""

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

import pytest
from cluster.kube import RESTRICTED, TAG, Namespace, namespaced, run
from keybearer_operator.rotation import material

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

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

    def start(self) -> "subprocess.Popen[bytes]":
        ports = {"KEYBEARER_OPERATOR_METRICS_PORT": _port(), "KEYBEARER_OPERATOR_HEALTH_PORT": _port()}
        given = {name: str(port) for name, port in ports.items()}
        environment = {**os.environ, **given, "KEYBEARER_OPERATOR_NAMESPACE": self.namespace}
        process = subprocess.Popen([sys.executable, "-m", "keybearer_operator"], env=environment)
        self.running.append(process)
        return process

    def kill(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait(timeout=10)
        self.running.clear()


@pytest.fixture(scope="module")
def crd() -> None:
    run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    run("kubectl", "wait", "--for=condition=Established", "-f", str(CRDS), "--timeout=30s")


@pytest.fixture(scope="module")
def namespace(crd: None) -> Iterator[Namespace]:
    with namespaced("op-rotation") as made:
        made.apply(*secrets(), deployment())
        made.rolled_out("deployment/backend")
        yield made


@pytest.fixture
def operators(namespace: Namespace) -> Iterator[Operators]:
    made = Operators(namespace.name)
    yield made
    made.kill()
    namespace.kubectl("delete", "secretrotations", "--all")


def test_an_aes_keyring_is_rotated_twice_though_the_operator_is_killed_at_every_step(namespace, operators):
    operators.start()
    rotate(namespace, "keyring", "AESKeyring", rewrap={"batchSize": 100, "rateLimit": 1000})
    idle(namespace, "keyring")
    for turn in ("first", "second"):
        before = status(namespace, "keyring")["activeKeyID"]
        steps = [*killed_at_every_step(namespace, operators, "keyring", turn)]
        assert len(steps) >= 5, "staged, promoted, rewrapped, retired, and what lies between"
        told = idle(namespace, "keyring")
        data = namespace.get("secret", "keyring")["data"]
        assert set(data) == {told["activeKeyID"], "primary"}
        assert told["activeKeyID"] != before
        assert told["rewrap"] == {"total": 7, "remaining": 0}
    ran = sorted(job["spec"]["template"]["spec"]["containers"][0]["args"][1] for job in namespace.items("jobs"))
    assert ran == ["retire", "retire", "rewrap", "rewrap"], "no Job ran twice"
    assert len(staged(namespace, "keyring")) == 2


def test_a_signing_key_is_replaced_and_its_public_half_stays(namespace, operators):
    operators.start()
    rotate(namespace, "signing", "SigningKeyring", overlap={"min": "0s"})
    idle(namespace, "signing")
    ask(namespace, "signing", "now")
    told = rotated(namespace, "signing", "k1")
    assert set(namespace.get("secret", "signing")["data"]) == {told["activeKeyID"], "primary", "k1.pub"}


def test_logins_take_turns(namespace, operators):
    operators.start()
    rotate(namespace, "database", "PostgresUser", overlap={"max": "30s"})
    idle(namespace, "database")
    for turn, login in (("first", "keybearer_app_b"), ("second", "keybearer_app_a")):
        before = namespace.get("secret", "database")["data"]
        ask(namespace, "database", turn)
        rotated(namespace, "database", base64.b64decode(before["username"]).decode())
        after = namespace.get("secret", "database")["data"]
        assert base64.b64decode(after["username"]).decode() == login
        assert after["password"] != before["password"]
        assert "NotFound" in namespace.kubectl("get", "secret", "database-pending", check=False)


def test_other_values_are_replaced_and_their_consumer_restarted(namespace, operators):
    operators.start()
    rotate(namespace, "other", "OpaqueSecret", mode="Restart")
    idle(namespace, "other")
    revision = namespace.get("deployment", "backend")["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    before = namespace.get("secret", "other")["data"]["token"]
    ask(namespace, "other", "now")
    namespace.until(lambda: namespace.get("secret", "other")["data"]["token"] != before)
    namespace.until(lambda: status(namespace, "other").get("step") == "Idle")
    after = namespace.get("deployment", "backend")["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    assert int(after) == int(revision) + 1
    namespace.rolled_out("deployment/backend")


def test_of_two_operators_one_acts_and_the_other_takes_over(namespace, operators):
    first = operators.start()
    rotate(namespace, "two", "AESKeyring", secret="keyring")
    idle(namespace, "two")
    operators.start()
    time.sleep(3)
    before = status(namespace, "two")["activeKeyID"]
    ask(namespace, "two", "now")
    namespace.until(lambda: status(namespace, "two").get("step") != "Idle")
    first.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    rotated(namespace, "two", before)
    assert time.monotonic() - killed < 60
    assert len(staged(namespace, "two")) == 1


def test_a_pod_that_never_acknowledges_degrades_it_and_the_old_key_stays(namespace, operators):
    operators.start()
    rotate(namespace, "late", "AESKeyring", secret="keyring", overlap={"min": "10s", "max": "10s"})
    idle(namespace, "late")
    before = status(namespace, "late")["activeKeyID"]
    ask(namespace, "late", "now")
    namespace.until(lambda: status(namespace, "late").get("step") == "Staged")
    consumers = [{"kind": "Deployment", "name": name} for name in ("backend", "backend-silent")]
    name_consumers(namespace, "late", consumers)
    silent = deployment(name="backend-silent")
    silent["spec"]["template"]["spec"]["containers"][0]["command"] = ["python", "-c", "import time; time.sleep(1e6)"]
    namespace.apply(silent)
    degraded = waits_for(namespace, "late", "Degraded", "ConsumersNotConverged")
    assert "backend-silent-" in degraded["message"]
    assert "ConsumersNotConverged" in namespace.kubectl("describe", "sr/late")
    assert before in namespace.get("secret", "keyring")["data"]
    name_consumers(namespace, "late", consumers[:1])
    namespace.kubectl("delete", "deployment", "backend-silent")
    rotated(namespace, "late", before)


def test_a_missing_secret_and_a_missing_key_stop_it_until_they_are_back(namespace, operators):
    operators.start()
    rotate(namespace, "gone", "AESKeyring", secret="elsewhere")
    waits_for(namespace, "gone", "Degraded", "SecretMissing")
    namespace.apply(keyring_secret("elsewhere"))
    namespace.until(lambda: status(namespace, "gone").get("activeKeyID") == "k1")
    data = namespace.get("secret", "elsewhere")["data"]
    other = {"k9": base64.b64encode(material.new_encryption_key()).decode(), "k1": None, "primary": _encoded("k9")}
    namespace.kubectl("patch", "secret/elsewhere", "--type=merge", "-p", json.dumps({"data": other}))
    wrong = waits_for(namespace, "gone", "Degraded", "KeyMissing")
    assert "keybearer.dev/accept=" in wrong["message"]
    back = {"k1": data["k1"], "k9": None, "primary": data["primary"]}
    namespace.kubectl("patch", "secret/elsewhere", "--type=merge", "-p", json.dumps({"data": back}))
    waits_for(namespace, "gone", "Degraded", "AsExpected", holds="False")


def test_deleting_a_rotation_deletes_no_key(namespace, operators):
    operators.start()
    rotate(namespace, "brief", "AESKeyring", secret="keyring")
    idle(namespace, "brief")
    before = namespace.get("secret", "keyring")["data"]
    namespace.kubectl("delete", "sr/brief")
    time.sleep(2)
    assert namespace.get("secret", "keyring")["data"] == before


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"type": "Password"}, "Unsupported value"),
    ({"consumers": []}, "should have at least 1 items"),
    ({"type": "SigningKeyring", "rewrap": {"batchSize": 5}}, "spec.rewrap belongs to type AESKeyring alone"),
    ({"type": "PostgresUser", "retainPrevious": 1}, "spec.retainPrevious belongs to keyrings alone"),
    ({"type": "OpaqueSecret"}, "set mode: Restart"),
    ({"overlap": {"min": "2h", "max": "1h"}}, "make max at least as long as min"),
    ({"overlap": {"min": "soon"}}, "should match"),
    ({"schedule": {"interval": "10s"}}, "shorter than 1m"),
    ({"schedule": {"interval": "10m"}, "overlap": {"max": "1h"}}, "make the interval longer or the overlap shorter"),
    ({"schedule": {"windows": [{"from": "01:00", "until": "02:00"}]}}, "set spec.schedule.interval too"),
    ({"schedule": {"interval": "1h", "windows": [{"from": "01:00", "until": "01:00"}]}}, "from 00:00 until 24:00"),
    ({"schedule": {"interval": "1h", "windows": [{"from": "1am", "until": "02:00"}]}}, "should match"),
    ({"rewrap": {"batchSize": 0}}, "greater than or equal to 1"),
    ({"consumers": [{"kind": "DaemonSet", "name": "x"}]}, "Unsupported value"),
]


@pytest.mark.parametrize(("changes", "message"), INVALID, ids=[message for _, message in INVALID])
def test_what_cannot_work_is_refused_with_what_to_do(namespace, changes, message):
    what = rotation("invalid", "AESKeyring", "keyring", **changes)
    answer = namespace.kubectl("apply", "--dry-run=server", "-f", "-", given=json.dumps(what), check=False)
    assert message in answer


def test_type_and_secret_cannot_change(namespace):
    namespace.apply(rotation("fixed", "AESKeyring", "keyring", suspend=True))
    for change in ({"type": "SigningKeyring"}, {"secretRef": {"name": "other"}}):
        patch = json.dumps({"spec": change})
        answer = namespace.kubectl("patch", "sr/fixed", "--type=merge", "-p", patch, check=False)
        assert "make another SecretRotation" in answer
    namespace.kubectl("delete", "sr/fixed")


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
    found: dict[str, Any] = namespace.get("sr", name).get("status", {})
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


def keyring_secret(name: str) -> dict[str, Any]:
    return opaque(name, {"k1": material.new_encryption_key().decode(), "primary": "k1\n"})


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


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
