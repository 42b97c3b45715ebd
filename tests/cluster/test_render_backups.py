"""The copy of the backup volume in a bucket: who makes it, what it may, and how a volume comes back from there."""

import json
import re
from typing import Any

import pytest
from cluster import render
from cluster.render import HOST, Object, containers, kind, label, named, pods
from cluster.test_render_network import End, allowed

pytestmark = pytest.mark.cluster

S3: dict[str, Any] = {"url": "s3://backups/kb", "existingSecret": "bucket"}
SETS: dict[str, dict[str, Any]] = {
    "small": HOST | {"backup": {"s3": S3}, "monitoring": {"enabled": True}},
    "own server": HOST
    | {
        "backup": {"s3": S3 | {"endpoint": "https://minio.storage.svc:9000", "caSecret": "bucket-ca"}},
        "erasureLog": {"enabled": True},
    },
    "identity": HOST | {"backup": {"s3": {"url": "s3://backups"}}},
    "external": HOST | {"backup": {"s3": S3}, "database": {"mode": "external", "external": {"existingSecret": "db"}}},
    "pull": HOST | {"backup": {"s3": S3 | {"pull": True}}},
    "pull external": HOST
    | {"backup": {"s3": S3 | {"pull": True}}, "database": {"mode": "external", "external": {"existingSecret": "db"}}},
}
every_set = pytest.mark.parametrize("name", SETS)


def rendered(values: dict[str, Any]) -> list[Object]:
    return render.objects(render.render(values))


def offsite(found: list[Object]) -> Object:
    (pod,) = (pod for _, pod in pods(found) if label(pod, "component") == "offsite")
    return pod


@every_set
def test_helm_finds_nothing_to_complain_about(name: str) -> None:
    done = render.helm("lint", "--strict", *render.arguments(SETS[name]))

    assert done.returncode == 0, done.stdout + done.stderr


def test_by_default_nothing_leaves_the_cluster() -> None:
    assert "offsite" not in {label(pod, "component") for _, pod in pods(rendered(HOST))}
    assert "archive_timeout = 300" in postgres_config(rendered(HOST))


@every_set
def test_it_knows_keyring_and_bucket_and_no_other_secret(name: str) -> None:
    pod = offsite(rendered(SETS[name]))
    (container,) = containers(pod)
    used = set(re.findall(r'"secretName": "([^"]+)"', json.dumps(pod)))
    used |= {each["valueFrom"]["secretKeyRef"]["name"] for each in container["env"] if "valueFrom" in each}
    assert used - {"bucket", "bucket-ca"} == {"kb-keybearer-keyring"}
    assert not [each for each in container["env"] if "DATABASE" in each["name"]]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_the_environment_is_what_programs_for_s3_read() -> None:
    (container,) = containers(offsite(rendered(SETS["own server"])))
    env = {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}

    assert env == {
        "KEYBEARER_KEYRING_DIR": "/etc/keybearer/keyring",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": "https://minio.storage.svc:9000",
        "AWS_CA_BUNDLE": "/etc/keybearer/s3-ca/ca.crt",
        "AWS_ACCESS_KEY_ID": {"secretKeyRef": {"name": "bucket", "key": "access-key-id"}},
        "AWS_SECRET_ACCESS_KEY": {"secretKeyRef": {"name": "bucket", "key": "secret-access-key"}},
    }
    assert "/backup/erasures" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_it_is_probed_and_missed() -> None:
    found = rendered(SETS["small"])
    (container,) = containers(offsite(found))

    assert {"livenessProbe", "readinessProbe"} <= container.keys()
    assert container["args"][:2] == ["offsite", "push"]
    rules = [
        rule for each in kind(found, "PrometheusRule") for group in each["spec"]["groups"] for rule in group["rules"]
    ]
    (late,) = (rule for rule in rules if rule.get("alert") == "KeybearerOffsiteLate")
    assert 'deployment="kb-keybearer-offsite"' in late["expr"]
    assert named(found, "Deployment", "kb-keybearer-offsite")


def postgres_config(found: list[Object]) -> str:
    text: str = named(found, "ConfigMap", "kb-keybearer-postgres")["data"]["postgresql.conf"]
    return text


@pytest.mark.parametrize(("every", "within", "closed"), [(20, 300, 240), (5, 60, 45), (60, 300, 120)])
def test_wal_is_in_the_bucket_in_time(every: int, within: int, closed: int) -> None:
    values = HOST | {"backup": {"s3": S3 | {"everySeconds": every}, "wal": {"timeoutSeconds": within}}}

    assert f"archive_timeout = {closed}\n" in postgres_config(rendered(values))


BUCKET = End("bucket", address="203.0.113.9")
PRIVATE = End("private", address="10.1.2.3")


@pytest.mark.parametrize(
    ("s3", "ways"),
    [
        ({}, {("bucket", "TCP/443")}),
        ({"endpoint": "http://s3.example.com"}, {("bucket", "TCP/80")}),
        ({"endpoint": "https://s3.example.com:9000"}, {("bucket", "TCP/9000")}),
        (
            {"to": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 9000}]}]},
            {("private", "TCP/9000")},
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("pull", [False, True])
def test_it_reaches_the_bucket_and_nothing_else(s3: dict[str, Any], ways: set[tuple[str, str]], pull: bool) -> None:
    found = rendered(HOST | {"backup": {"s3": S3 | s3 | {"pull": pull}}})
    policies = kind(found, "NetworkPolicy")
    ours = {label(pod, "component") or "": pod["metadata"]["labels"] for _, pod in pods(found)}
    ends = [BUCKET, PRIVATE, *(End(name, namespace="kb", labels=labels) for name, labels in ours.items())]
    source = next(end for end in ends if end.name == "offsite")
    ports = {f"TCP/{port}" for port in (80, 443, 5432, 6379, 8080, 9000, 9090)}

    assert {
        (end.name, port)
        for end in ends
        for port in ports
        if end != source
        and allowed(policies, "Egress", source, end, port)
        and allowed(policies, "Ingress", end, source, port)
    } == ways


def test_an_empty_volume_is_filled_before_a_database_writes_to_it() -> None:
    found = rendered(SETS["pull"])
    (job,) = (each for each in kind(found, "Job") if label(each, "component") == "offsite")
    pod = job["spec"]["template"]

    assert containers(pod)[0]["args"] == ["offsite", "pull", "--from", "s3://backups/kb", "--to", "/backup"]
    assert named(found, "StatefulSet", "kb-keybearer-postgres")["spec"]["replicas"] == 0
    # It would wait for ever beside a database that waits for it.
    assert "affinity" not in pod["spec"]
    assert not [each for each in kind(found, "Deployment") if label(each, "component") == "offsite"]
    assert named(rendered(SETS["small"]), "StatefulSet", "kb-keybearer-postgres")["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("backup", "told"),
    [
        ({"enabled": False, "s3": S3}, ["backup.s3.url:", "backup.enabled"]),
        ({"s3": {"pull": True}}, ["backup.s3.pull:", "backup.s3.url"]),
        ({"s3": S3, "wal": {"timeoutSeconds": 60}}, ["backup.wal.timeoutSeconds: 60 is too short", "Set it to 90"]),
        ({"s3": {"url": "https://backups"}}, ["/backup/s3/url"]),
        ({"s3": S3 | {"endpoint": "https://key:secret@host"}}, ["/backup/s3/endpoint"]),
        ({"s3": S3 | {"bucket": "x"}}, ["'/backup/s3'", "additional properties 'bucket' not allowed"]),
    ],
    ids=str,
)
def test_refused(backup: dict[str, Any], told: list[str]) -> None:
    message = render.refusal(HOST | {"backup": backup})

    assert [words for words in told if words not in message] == []


def test_one_thing_after_the_other() -> None:
    message = render.refusal(HOST | {"backup": {"s3": S3 | {"pull": True}}, "restore": {"archive": "newest"}})

    assert "backup.s3.pull:" in message
    assert "set pull to false" in message
