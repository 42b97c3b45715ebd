"""What must not work, tried; and secrets where they must not be."""

import base64
import json

import pytest
from cluster.kube import Namespace
from cluster.release import FULL, NAME, Release
from installation import Browser

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

REACH = """
import socket, sys
for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        print(target, "open")
    except OSError as error:
        print(target, "closed", error)
"""


def reached(namespace: Namespace, name: str, *targets: str) -> dict[str, bool]:
    printed = namespace.program(name, REACH, *targets).finished()
    return {line.split()[0]: line.split()[1] == "open" for line in printed.splitlines()}


@pytest.fixture(scope="module")
def enforced(release: Release) -> None:
    """Some clusters store NetworkPolicies and enforce none."""
    deny = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "probe"},
        "spec": {"podSelector": {"matchLabels": {"probe": "yes"}}, "policyTypes": ["Egress"]},
    }
    release.namespace.apply(deny)
    release.namespace.program("probe", REACH, f"{FULL}-frontend-proxy:80")
    release.namespace.kubectl("label", "pod", "probe", "probe=yes")
    release.namespace.kubectl("delete", "pod", "probe", "--wait")
    pod_ip = release.pods("postgres")[0]["status"]["podIP"]
    if reached(release.namespace, "unlabelled", f"{pod_ip}:5432")[f"{pod_ip}:5432"]:
        pytest.skip("this cluster's network does not enforce NetworkPolicies")


def test_only_named_paths_are_open(release: Release, enforced) -> None:
    address = {
        part: release.pods(part)[0]["status"]["podIP"] for part in ("backend", "postgres", "valkey", "frontend-proxy")
    }
    closed = [
        f"{address['postgres']}:5432",
        f"{address['postgres']}:9187",
        f"{address['valkey']}:6379",
        f"{address['backend']}:8080",
        f"{address['backend']}:9090",
    ]
    answer = reached(release.namespace, "stranger", *closed, f"{address['frontend-proxy']}:8080")
    assert answer == {**dict.fromkeys(closed, False), f"{address['frontend-proxy']}:8080": True}


def test_the_backend_reaches_its_database_and_nothing_private(release: Release, enforced) -> None:
    address = {part: release.pods(part)[0]["status"]["podIP"] for part in ("frontend-proxy", "postgres")}
    targets = [f"{address['postgres']}:5432", f"{address['frontend-proxy']}:8080", "kubernetes.default.svc:443"]
    command = ("exec", f"deploy/{FULL}-backend", "-c", "backend", "--", "python", "-c", REACH, *targets)
    printed = release.namespace.kubectl(*command)
    assert [line.split()[1] for line in printed.splitlines()] == ["open", "closed", "closed"]


def test_a_privileged_pod_is_refused_beside_ours(release: Release) -> None:
    privileged = {"name": "x", "image": "x:1", "securityContext": {"privileged": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [privileged]}}
    refused = release.namespace.kubectl("apply", "-f", "-", given=json.dumps(pod), check=False)
    assert "violates PodSecurity" in refused


def test_only_the_secrets_job_and_the_operator_have_a_token(release: Release) -> None:
    for pod in release.namespace.items("pods", f"app.kubernetes.io/instance={NAME}"):
        volumes = [volume["name"] for volume in pod["spec"]["volumes"] if volume["name"].startswith("kube-api-access")]
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        assert not volumes or component in {"secrets", "operator"}, pod["metadata"]["name"]


def test_secrets_are_nowhere_but_in_secrets(release: Release, browser: Browser) -> None:
    """Logs of every container, events, status fields, the release and its manifests."""
    grant = release.grant(browser)
    browser_cookie = browser.client.cookies["keybearer_session"]
    planted = {grant, browser_cookie}
    for secret in release.namespace.items("secrets"):
        if secret["type"] == "helm.sh/release.v1":
            continue
        for name, value in secret["data"].items():
            text = base64.b64decode(value).decode().strip()
            if name not in {"primary", "username", "ca.crt", "tls.crt", "api-key"}:
                planted |= {line for line in text.splitlines() if len(line) >= 16 and not line.startswith("-----")}
    assert len(planted) > 8
    said = [
        release.namespace.kubectl("logs", f"pod/{pod['metadata']['name']}", "--all-containers", check=False)
        for pod in release.namespace.items("pods")
    ]
    said.append(release.namespace.kubectl("get", "events", "-o", "yaml"))
    said.append(release.namespace.kubectl("get", "pods,jobs,deployments,statefulsets,configmaps", "-o", "yaml"))
    said.append(release.namespace.helm("get", "all", NAME))
    everything = "\n".join(said)
    assert len(everything) > 100_000
    found = {secret[:6] for secret in planted if secret in everything}
    assert not found
    assert "sbx_at_" not in everything
