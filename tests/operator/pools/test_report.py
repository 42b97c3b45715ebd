"""What `kubectl describe` says in each state, and the Deployment that a pool becomes."""

from dataclasses import replace

import pytest
from keybearer_operator.conditions import Condition
from keybearer_operator.pools import report, template
from keybearer_operator.pools.model import Deployment, Observed, Pod, Spec, Version

SPEC = Spec(
    agent_name="aide",
    template={"spec": {"containers": [{"name": "aide", "image": "aide:1"}]}},
    url="ws://livekit:7880",
    credentials="livekit",
)
THERE = Deployment(1, "", 1, "1")
READY = Pod("w0", "new", ready=True, running=True, terminating=False)
STARTING = replace(READY, ready=False)
DRAINING = Pod("d0", "old", ready=False, running=True, terminating=True, active_jobs=2)
POOL = Observed(
    name="aide", uid="u1", spec=SPEC, deployment=THERE, pods=(READY,), versions=(Version("new", 2, "b", 1),)
)


def of(kind: str, seen: Observed) -> Condition:
    return next(each for each in report.conditions(seen) if each.type == kind)


@pytest.mark.parametrize(
    ("kind", "changes", "status", "reason"),
    [
        ("Available", {}, True, "WorkersReady"),
        ("Available", {"pods": (STARTING,)}, False, "WorkersNotReady"),
        (
            "Available",
            {"pods": (replace(STARTING, trouble=("ImagePullBackOff", "w0: no")),)},
            False,
            "ImagePullBackOff",
        ),
        ("Available", {"deployment": replace(THERE, owned=False)}, False, "NameTaken"),
        ("Available", {"spec": replace(SPEC, suspend=True)}, False, "Suspended"),
        ("Available", {"spec": replace(SPEC, minimum=0, replicas=0, warm_buffer=0)}, True, "NoneWanted"),
        ("Progressing", {}, False, "Settled"),
        ("Progressing", {"deployment": None, "pods": ()}, True, "Scaling"),
        ("Progressing", {"deployment": replace(THERE, settled=False)}, True, "Scaling"),
        ("Progressing", {"deployment": replace(THERE, trouble=("FailedCreate", "quota"))}, False, "FailedCreate"),
        ("Progressing", {"versions": (Version("new", 1, "b", 1), Version("later", 2, "c", 0))}, True, "RollingOut"),
        ("Progressing", {"pods": (replace(READY, active_jobs=None),)}, False, "WorkersSilent"),
        ("Drained", {}, True, "NoneDraining"),
        ("Drained", {"pods": (READY, DRAINING)}, False, "Draining"),
        ("ScalingLimited", {}, False, "WithinLimits"),
        ("ScalingLimited", {"spec": replace(SPEC, replicas=11)}, True, "MaximumReached"),
        ("ScalingLimited", {"spec": replace(SPEC, replicas=3, max_workers=2)}, True, "BudgetReached"),
        ("BudgetExceeded", {}, False, "NoBudget"),
        ("BudgetExceeded", {"spec": replace(SPEC, max_workers=2)}, False, "WithinBudget"),
        ("BudgetExceeded", {"spec": replace(SPEC, replicas=3, max_workers=2)}, True, "MaxWorkers"),
        (
            "BudgetExceeded",
            {"spec": replace(SPEC, max_active_jobs=1), "pods": (READY, DRAINING)},
            True,
            "MaxActiveJobs",
        ),
    ],
)
def test_each_state_says_what_it_is(kind, changes, status, reason):
    said = of(kind, replace(POOL, **changes))
    assert (said.status, said.reason) == (status, reason)
    assert said.message


def test_versions_come_from_replica_sets_and_from_pods_that_outlive_theirs():
    older = replace(DRAINING, name="d1", version="gone")
    versions = (Version("old", 1, "a", 0), Version("new", 2, "b", 1), Version("idle", 0, "z", 0))
    said = report.fields(replace(POOL, pods=(READY, DRAINING, older), versions=versions))
    shown = [(each["name"], each["phase"], each["replicas"], each["drainingReplicas"]) for each in said["versions"]]
    assert shown == [("new", "Current", 1, 0), ("old", "Draining", 0, 1), ("gone", "Draining", 0, 1)]
    assert (said["activeJobs"], said["drainingReplicas"], said["readyReplicas"]) == (4, 2, 1)
    assert said["selector"] == "keybearer.dev/agentpool=aide"


def pod_of(spec: Spec) -> dict:
    return template.deployment(replace(POOL, spec=spec), 2)["spec"]["template"]["spec"]


def test_a_worker_is_told_what_it_needs_and_closed_in():
    pod = pod_of(SPEC)
    worker = pod["containers"][0]
    told = {each["name"]: each.get("value") for each in worker["env"]}
    assert told["LIVEKIT_AGENT_NAME_OVERRIDE"] == "aide"
    assert told["KEYBEARER_JOBS_PER_WORKER"] == "4"
    assert pod["terminationGracePeriodSeconds"] == 3930
    assert pod["shareProcessNamespace"], "or a worker that is asked to end while it starts never hears of it"
    assert worker["resources"]["limits"] == {"cpu": "1", "memory": "2Gi"}
    assert worker["securityContext"] == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert {"name": "keybearer-tmp", "mountPath": "/tmp"} in worker["volumeMounts"]


@pytest.mark.parametrize(("allowed", "root"), [(False, True), (True, False)])
def test_only_allow_privileged_loosens(allowed, root):
    loose = {"name": "aide", "securityContext": {"readOnlyRootFilesystem": False}}
    pod = pod_of(replace(SPEC, template={"spec": {"containers": [loose]}}, allow_privileged=allowed))
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is root


def test_what_the_template_says_of_its_own_stays():
    written = {
        "name": "aide",
        "resources": {"limits": {"memory": "1Gi"}},
        "env": [{"name": "HOME", "value": "/home"}, {"name": "LIVEKIT_URL", "value": "ws://elsewhere"}],
        "volumeMounts": [{"name": "mine", "mountPath": "/tmp"}],
    }
    worker = pod_of(replace(SPEC, template={"spec": {"containers": [written]}}))["containers"][0]
    told = {each["name"]: each.get("value") for each in worker["env"]}
    assert (told["HOME"], told["LIVEKIT_URL"]) == ("/home", "ws://livekit:7880")
    assert worker["resources"] == written["resources"]
    assert worker["volumeMounts"] == written["volumeMounts"]


def test_the_digest_changes_with_what_workers_are_and_not_with_how_many():
    digest = template.digest(POOL)
    assert template.digest(replace(POOL, spec=replace(SPEC, replicas=9, maximum=20, warm_buffer=3))) == digest
    assert template.digest(replace(POOL, spec=replace(SPEC, drain_seconds=60))) != digest
    assert template.digest(replace(POOL, spec=replace(SPEC, url="ws://other"))) != digest
