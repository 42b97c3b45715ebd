"""The overlays of k8s/ on a real API server, and deploy.sh, which keeps its word."""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.kube import REPOSITORY, TAG, Namespace, forwarded, namespaced, reachable, run, tried
from installation import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

K8S = REPOSITORY / "k8s"
README = (K8S / "README.md").read_text(encoding="utf-8")


def overlay(folder: Path, of: str, more: str) -> Path:
    """An overlay of one's own, over one of k8s/."""
    folder.mkdir(exist_ok=True)
    below = os.path.relpath(K8S / "overlays" / of, folder.resolve())
    head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    (folder / "kustomization.yaml").write_text(f"{head}resources: [{below}]\n{more}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def empty() -> Iterator[Namespace]:
    if not reachable():
        pytest.skip("KUBECONFIG names no cluster that answers")
    with namespaced("keybearer-k8s-dry") as made:
        yield made


@pytest.mark.parametrize("name", ["production", "development"])
def test_the_server_takes_it(name: str, empty: Namespace, tmp_path: Path) -> None:
    folder = overlay(tmp_path / "mine", name, f"namespace: {empty.name}")
    said, warnings = tried("--kustomize", str(folder))

    assert not warnings
    assert len(said) == run("kubectl", "kustomize", str(folder)).count("\nkind: ")


@pytest.fixture
def own() -> Iterator[Namespace]:
    """A namespace that deploy.sh makes."""
    if not reachable():
        pytest.skip("KUBECONFIG names no cluster that answers")
    name = f"keybearer-k8s-{os.getpid()}"
    try:
        yield Namespace(name)
    finally:
        run("kubectl", "delete", "namespace", name, "--wait=false", "--ignore-not-found")


def deploy(*arguments: str) -> str:
    command = [str(K8S / "deploy.sh"), "--yes", "--timeout", "300", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_deployed_again_and_removed(own: Namespace, tmp_path: Path) -> None:
    ours = ["backend", "frontend-proxy", "operator", "sandbox"]
    images = [{"name": f"keybearer/{name}", "newTag": TAG} for name in ours]
    one = {"target": {"kind": "HorizontalPodAutoscaler"}, "patch": "- {op: replace, path: /spec/maxReplicas, value: 1}"}
    mine = {"namespace": own.name, "images": images, "patches": [one]}
    folder = overlay(tmp_path / "mine", "development", yaml.safe_dump(mine))
    first = deploy(str(folder))
    assert f"kubectl --namespace {own.name} port-forward service/keybearer-frontend-proxy 8080:80" in first
    answers(own)
    verify = next(line for line in README.splitlines() if " exec deployment/" in line).split(" -- ")[1].split()
    assert " 0 wrong" in own.kubectl("exec", "deployment/keybearer-backend", "-c", "backend", "--", *verify)

    own.apply(job_of_an_older_version())
    secrets = {each["metadata"]["name"]: each["metadata"]["uid"] for each in own.items("secrets")}
    second = deploy(str(folder))
    assert "no difference" in second
    assert "keybearer-migrate-old" not in json.dumps(own.items("jobs"))
    assert secrets == {each["metadata"]["name"]: each["metadata"]["uid"] for each in own.items("secrets")}
    assert len(own.items("replicasets", "app.kubernetes.io/component=backend")) == 1

    # A Job cannot be changed, so it is made again.
    images[0]["newName"] = "docker.io/keybearer/backend"
    third = deploy(str(overlay(folder, "development", yaml.safe_dump(mine))))
    assert re.search(r"(?m)^\+ .*image: docker\.io/keybearer/backend", third)
    assert "last-applied" not in third
    answers(own)

    block = README.partition("## Remove")[2].partition("```sh\n")[2].partition("```")[0]
    words = block.replace("\\\n", " ").split()
    assert words[:4] == ["kubectl", "--namespace", "keybearer", "delete"]
    own.kubectl(*words[3:], "--wait=false")  # pods take a minute to end
    kinds = "deployments,statefulsets,services,jobs,cronjobs,hpa,pdb,configmaps,networkpolicies,roles,rolebindings,pvc"
    left = {(each["kind"], each["metadata"]["name"]) for each in own.everything(kinds)}
    assert left == {("ConfigMap", "kube-root-ca.crt"), ("PersistentVolumeClaim", "data-keybearer-postgres-0")}
    assert set(secrets) == {each["metadata"]["name"] for each in own.items("secrets")}


def answers(own: Namespace) -> None:
    port = free_port()
    with forwarded(own, "keybearer-frontend-proxy", port, 80):
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/health", headers={"Host": "localhost:8080"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert answer.status == 200


def job_of_an_older_version() -> dict[str, Any]:
    container = {"name": "migrate", "image": "keybearer/backend:0.0.1"}
    labels = {"app.kubernetes.io/component": "migrate", "app.kubernetes.io/part-of": "keybearer"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "keybearer-migrate-old", "labels": labels},
        "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


STUB = """#!/bin/sh
printf '%s\\n' "$*" >>"$LOG"
case $* in
  *current-context*) if [ -n "$CONTEXT" ]; then echo "$CONTEXT"; else exit 1; fi ;;
  *"config view"*) echo "$SERVER" ;;
  *"--raw /version"*) if [ -n "$MINOR" ]; then printf '{\\n  "minor": "%s"\\n}' "$MINOR"; else exit 1; fi ;;
  *" kustomize "*) for file; do :; done; echo "host: $HOST" >"$file" ;;
  *" create --dry-run"*) printf 'Job keybearer-secrets-1 kb secrets\\nDeployment keybearer-backend kb backend\\n' ;;
  *" get namespace "*) exit "$ABSENT" ;;
  *" diff "*) exit "$DIFFERS" ;;
  *" apply --filename "*) exit "$REFUSED" ;;
  *" wait "*) exit "$UNREADY" ;;
  *" get configmap "*) echo "https://$HOST" ;;
esac
"""
USUAL = {
    "CONTEXT": "far",
    "SERVER": "https://10.9.8.7:6443",
    "MINOR": "34+",
    "HOST": "kb.test",
    "ABSENT": "1",
    "DIFFERS": "1",
    "REFUSED": "0",
    "UNREADY": "0",
}


@pytest.mark.parametrize(
    ("given", "arguments", "code", "said", "applied"),
    [
        ({}, ["--yes", "production"], 0, "Keybearer is ready: https://kb.test", True),
        ({"ABSENT": "0"}, ["--yes", "production"], 0, "What would change in the namespace kb", True),
        ({"SERVER": "https://127.0.0.1:6443"}, ["production"], 0, "Keybearer is ready", True),
        ({"CONTEXT": "minikube"}, ["production"], 0, "Keybearer is ready", True),
        ({}, [], 2, "Usage", False),
        ({}, ["--timeout", "soon", "production"], 2, "Usage", False),
        ({"CONTEXT": ""}, ["production"], 2, "kubectl config use-context", False),
        ({"MINOR": ""}, ["production"], 2, "does not answer at https://10.9.8.7:6443", False),
        ({"MINOR": "29"}, ["production"], 2, "Kubernetes 1.30 or newer is needed; far has 1.29", False),
        ({"HOST": "keybearer.example.com"}, ["production"], 2, "Set the host in", False),
        ({}, ["production"], 3, "far is not a cluster on this machine", False),
        ({"SERVER": "https://127.0.0.1.evil.test"}, ["production"], 3, "Nothing was changed", False),
        ({"SERVER": "https://localhost.evil.test"}, ["production"], 3, "Nothing was changed", False),
        ({"ABSENT": "0", "DIFFERS": "2"}, ["--yes", "production"], 4, "does not take these manifests", False),
        ({"REFUSED": "1"}, ["--yes", "production"], 4, "The cluster refused", True),
        ({"UNREADY": "1"}, ["--yes", "--timeout", "0", "production"], 5, "job/keybearer-secrets-1 is not ready", True),
    ],
)
def test_deploy_says_how_it_ended(
    given: dict[str, str], arguments: list[str], code: int, said: str, applied: bool, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()
    stub = tmp_path / "kubectl"
    stub.write_text(STUB)
    stub.chmod(0o755)
    environment = USUAL | given | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log)}
    command = [str(K8S / "deploy.sh"), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL, timeout=60
    )
    calls = log.read_text()

    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert ("apply --filename" in calls) is applied
    # Once it is known which cluster is meant, no call asks again.
    assert all(" config " in f" {line}" or line.startswith("--context ") for line in calls.splitlines())


def test_the_script_for_windows_takes_the_same_steps() -> None:
    shell, power = (steps((K8S / name).read_text(encoding="utf-8")) for name in ("deploy.sh", "deploy.ps1"))

    assert len(shell) > 20
    assert shell == power


def steps(script: str) -> list[str]:
    """The commands of kubectl in a script, in order, without what is the shell's own."""
    found = []
    for line in script.splitlines():
        code = re.sub(r"^\s*#.*|\b(say|fail) .*", "", line, flags=re.IGNORECASE)
        code = re.sub(r"\$\(left\)", "$left", code, flags=re.IGNORECASE).replace("& $program", "kubectl")
        verbs = "apply|config|create|delete|diff|get|kustomize|logs|rollout|wait"
        for match in re.finditer(rf"kubectl ((?:{verbs}) [^|;)>]*)", code):
            words = re.sub(r" (\d|})? *$", "", re.sub("['\"]", "", match[1]))
            found.append(re.sub(r"\$(1|name|what)\b", "$argument", words).strip())
    return found
