"""The small pure parts: when a rotation is due, what a spec means, what a Secret holds, what a Job looks like."""

import base64
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keybearer.keys import keyring
from keybearer_operator import conditions
from keybearer_operator.conditions import Condition
from keybearer_operator.rotation import jobs, material, model, pods, schedule, secret, spec
from keybearer_operator.rotation.model import Phase, Purpose, StartJob, State, Type

MONDAY = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NIGHTS = spec.spec(
    {"spec": {"type": "AESKeyring", "schedule": {"windows": [{"from": "22:00", "until": "02:00"}]}}}
).windows
SUNDAYS = model.Window(frozenset({6}), 3 * HOUR, 2 * HOUR)

DUE = [
    ("no windows", MONDAY, (), MONDAY + 40 * DAY, MONDAY + 30 * DAY),
    ("inside a window", MONDAY, NIGHTS, MONDAY + 30 * DAY + HOUR, MONDAY + 30 * DAY + HOUR),
    ("before one", MONDAY, NIGHTS, MONDAY + 30 * DAY + 5 * HOUR, MONDAY + 30 * DAY + 22 * HOUR),
    ("long overdue, outside", MONDAY, (SUNDAYS,), MONDAY + 99 * DAY, MONDAY + 104 * DAY + 3 * HOUR),
    ("not yet due", MONDAY, (SUNDAYS,), MONDAY, MONDAY + 34 * DAY + 3 * HOUR),
]


@pytest.mark.parametrize(
    ("rotated", "windows", "now", "expected"), [row[1:] for row in DUE], ids=[row[0] for row in DUE]
)
def test_a_rotation_begins_in_a_window(rotated, windows, now, expected):
    assert schedule.next_time(rotated, 30 * DAY, windows, now) == expected
    assert schedule.is_due(rotated, 30 * DAY, windows, now) == (expected <= now)


@settings(deadline=None)
@given(
    now=st.integers(0, 10**8).map(lambda seconds: MONDAY + timedelta(seconds=seconds)),
    day=st.integers(0, 6),
    opens=st.integers(0, 23),
    lasts=st.integers(1, 24),
)
def test_the_next_time_is_in_its_window_and_within_eight_days(now, day, opens, lasts):
    window = model.Window(frozenset({day}), opens * HOUR, lasts * HOUR)
    found = schedule.next_time(now - DAY, HOUR, (window,), now)
    assert now <= found <= now + 8 * DAY
    begins = [datetime.combine((found - back * DAY).date(), datetime.min.time(), UTC) + opens * HOUR for back in (0, 1)]
    assert any(begin.weekday() == day and begin <= found < begin + lasts * HOUR for begin in begins)


SPECS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "AESKeyring"}, {"minimum": timedelta(), "maximum": timedelta(minutes=15), "retain": 0, "interval": None}),
    ({"type": "SigningKeyring"}, {"minimum": timedelta(minutes=10), "keep": timedelta(minutes=65)}),
    ({"type": "SigningKeyring", "overlap": {"min": "0s"}}, {"minimum": timedelta(), "keep": timedelta()}),
    ({"type": "AESKeyring", "overlap": {"min": "1h30m"}}, {"minimum": 1.5 * HOUR, "maximum": 1.5 * HOUR}),
    (
        {"type": "AESKeyring", "schedule": {"interval": "720h"}, "retainPrevious": 2},
        {"interval": 30 * DAY, "retain": 2},
    ),
    ({"type": "AESKeyring", "rewrap": {"batchSize": 7, "rateLimit": 9}}, {"batch_size": 7, "rate": 9}),
]


@pytest.mark.parametrize(("given_spec", "expected"), SPECS)
def test_a_spec_says_what_it_means(given_spec, expected):
    read = dataclasses.asdict(spec.spec({"spec": given_spec}))
    assert expected.items() <= read.items()


def secret_of(data: dict[str, bytes], annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "metadata": {
            "resourceVersion": "7",
            "creationTimestamp": "2026-03-02T00:00:00Z",
            "annotations": annotations or {},
        },
        "data": secret.encoded(data),
    }


def test_the_operator_and_the_backend_compute_one_revision(tmp_path):
    data = {"k1": material.new_encryption_key(), "k2": material.new_encryption_key(), "primary": b"k2\n"}
    for name, entry in data.items():
        (tmp_path / name).write_bytes(entry)
    loaded = keyring.load(tmp_path)
    seen = secret.content(secret_of(data), Type.AES_KEYRING)
    assert seen.revision == loaded.revision
    assert seen.keys == loaded.digests
    assert seen.primary == "k2"


def test_the_operator_and_the_backend_compute_one_signing_revision(tmp_path):
    from keybearer.keys import signing

    old = material.new_signing_key()
    data = {"k1.pub": material.public_half(old), "k2": material.new_signing_key(), "primary": b"k2\n"}
    for name, entry in data.items():
        (tmp_path / name).write_bytes(entry)
    seen = secret.content(secret_of(data), Type.SIGNING_KEYRING)
    assert seen.revision == signing.load(tmp_path).revision
    assert (set(seen.keys), seen.public) == ({"k2"}, {"k1"})


KEY = material.new_encryption_key()
PROBLEMS = [
    (Type.AES_KEYRING, {"k1": KEY}, "`primary` is missing"),
    (Type.AES_KEYRING, {"k1": KEY, "primary": b"k2"}, "names a key that is not there"),
    (Type.AES_KEYRING, {"k1": b"!!", "primary": b"k1"}, "k1 is not base64"),
    (Type.AES_KEYRING, {"k1": base64.b64encode(b"short"), "primary": b"k1"}, "k1 is not 32 bytes"),
    (Type.AES_KEYRING, {"_k": KEY, "k1": KEY, "primary": b"k1"}, "_k is not named like a key"),
    (Type.SIGNING_KEYRING, {"k1": KEY, "primary": b"k1"}, "k1 is not an Ed25519 key"),
    (Type.POSTGRES_USER, {"username": b"keybearer_app_a"}, "`password` is missing"),
    (Type.POSTGRES_USER, {"username": b"\xff", "password": b"x"}, "`username` is missing"),
]


@pytest.mark.parametrize(("kind", "data", "problem"), PROBLEMS)
def test_what_a_secret_lacks_is_said_without_its_content(kind, data, problem):
    found = secret.content(secret_of(data), kind).problem
    assert problem in found
    assert all(entry.decode("latin-1") not in found for entry in data.values() if len(entry) > 8)


STATES = st.builds(
    State,
    active=st.text(min_size=1, max_size=5),
    since=st.datetimes(timezones=st.just(UTC)),
    rotated=st.datetimes(timezones=st.just(UTC)),
    keys=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    staged=st.none() | st.text(max_size=5),
    previous=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    failures=st.integers(0, 9),
    failed_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@settings(deadline=None)
@given(state=STATES)
def test_a_state_survives_its_annotation(state):
    assert secret.state(secret_of({}, {secret.STATE: secret.written(state)})) == state


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"active": "k1"}', '{"active":"k","since":1,"rotated":2}'])
def test_an_annotation_that_is_not_ours_is_no_state(text):
    assert secret.state(secret_of({}, {secret.STATE: text})) is None


TEMPLATE = {
    "metadata": {"labels": {"app": "kb", "app.kubernetes.io/component": "backend"}},
    "spec": {
        "serviceAccountName": "kb",
        "automountServiceAccountToken": True,
        "initContainers": [{"name": "wait"}],
        "containers": [
            {
                "name": "backend",
                "image": "keybearer/backend:1",
                "args": ["serve"],
                "env": [{"name": "A", "value": "1"}],
                "ports": [{"containerPort": 8080}],
                "livenessProbe": {},
                "volumeMounts": [{"name": "keyring", "mountPath": "/k"}],
            }
        ],
        "volumes": [{"name": "keyring", "secret": {"secretName": "kb-keyring"}}],
    },
}
ROTATION = {
    "apiVersion": "keybearer.dev/v1alpha1",
    "kind": "SecretRotation",
    "metadata": {"name": "keyring", "namespace": "ns", "uid": "u"},
}


def test_a_job_is_the_servers_program_and_no_server():
    start = StartJob("keyring-set-login-1", Purpose.SET_LOGIN, ("keys", "set-login", "--login", "keybearer_app_b"))
    job = jobs.build(ROTATION, TEMPLATE, {"app": "kb"}, start, "db-pending")
    pod = job["spec"]["template"]
    assert "app" not in pod["metadata"]["labels"], "the Service would lead to it"
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "keys"
    assert (pod["spec"]["automountServiceAccountToken"], pod["spec"]["serviceAccountName"]) == (False, "kb")
    assert "initContainers" not in pod["spec"]
    [container] = pod["spec"]["containers"]
    assert container["args"] == list(start.arguments)
    assert not {"ports", "livenessProbe"} & container.keys()
    assert {"name": "KEYBEARER_NEW_CREDENTIALS_DIR", "value": "/etc/keybearer/new-credentials"} in container["env"]
    assert pod["spec"]["volumes"][-1]["secret"]["secretName"] == "db-pending"
    assert TEMPLATE["spec"]["containers"][0]["args"] == ["serve"], "the template itself stays as it was"


ENDINGS: list[tuple[str, list[dict[str, str]], dict[str, Any], model.Job]] = [
    ("no news", [], {}, model.Job(Phase.RUNNING)),
    ("failed", [{"type": "Failed", "status": "True"}], {}, model.Job(Phase.FAILED)),
    ("not yet", [{"type": "Complete", "status": "False"}], {}, model.Job(Phase.RUNNING)),
    (
        "done",
        [{"type": "Complete", "status": "True"}],
        {"terminated": {"exitCode": 0, "message": '{"total":3}'}},
        model.Job(Phase.SUCCEEDED, '{"total":3}'),
    ),
    (
        "no image",
        [],
        {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
        model.Job(Phase.RUNNING, "ErrImagePull: not found"),
    ),
    ("creating", [], {"waiting": {"reason": "ContainerCreating"}}, model.Job(Phase.RUNNING)),
]


@pytest.mark.parametrize(("said", "state", "expected"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS])
def test_a_jobs_end_is_read(said, state, expected):
    pod = {"status": {"containerStatuses": [{"state": state}]}}
    assert jobs.seen({"status": {"conditions": said}}, [pod]) == expected


PODS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("running", {}, {"containerStatuses": [{"state": {"running": {}}, "ready": True}]}, True),
    ("not ready", {}, {"containerStatuses": [{"state": {"running": {}}, "ready": False}]}, True),
    ("waiting", {}, {"containerStatuses": [{"state": {"waiting": {}}}]}, False),
    ("ended", {}, {"containerStatuses": [{"state": {"terminated": {}}}]}, False),
    ("initialising", {}, {"initContainerStatuses": [{"state": {"running": {}}}]}, True),
    ("deleted", {"deletionTimestamp": "x"}, {"containerStatuses": [{"state": {"running": {}}}]}, False),
    ("new", {}, {}, False),
]


@pytest.mark.parametrize(("metadata", "status", "must"), [row[1:] for row in PODS], ids=[row[0] for row in PODS])
def test_who_must_acknowledge(metadata, status, must):
    assert pods.must_acknowledge({"metadata": metadata, "status": status}) is must


USES: list[tuple[dict[str, Any], bool]] = [
    ({"volumes": [{"secret": {"secretName": "s"}}], "containers": []}, True),
    ({"volumes": [{"projected": {"sources": [{"secret": {"name": "s"}}]}}], "containers": []}, True),
    ({"containers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}]}, True),
    ({"containers": [], "initContainers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}, True),
    ({"volumes": [{"secret": {"secretName": "t"}}, {"emptyDir": {}}], "containers": [{"env": [{"name": "A"}]}]}, False),
]


@pytest.mark.parametrize(("pod_spec", "uses"), USES)
def test_who_else_uses_a_secret(pod_spec, uses):
    assert pods.uses({"metadata": {}, "spec": pod_spec}, "s") is uses
    read_once = {"annotations": {pods.FIRST_START: "other,s"}}
    assert not pods.uses({"metadata": read_once, "spec": pod_spec}, "s")


ANSWER = {"revision": "r", "signing": {"revision": "s"}, "database": {"username": "u"}}


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        (Type.AES_KEYRING, ANSWER, "r"),
        (Type.SIGNING_KEYRING, ANSWER, "s"),
        (Type.POSTGRES_USER, ANSWER, "u"),
        (Type.POSTGRES_USER, {"database": None}, None),
        (Type.SIGNING_KEYRING, {"signing": []}, None),
        (Type.AES_KEYRING, {"revision": 5}, None),
    ],
)
def test_what_a_pod_answers(kind, answer, expected):
    assert pods.reported(answer, kind) == expected


def test_a_conditions_time_moves_with_its_status_alone():
    first = conditions.merge([], [Condition("Ready", True, "A", "a")], generation=1, moment=MONDAY)
    again = conditions.merge(first, [Condition("Ready", True, "B", "b")], generation=2, moment=MONDAY + HOUR)
    assert again[0]["lastTransitionTime"] == first[0]["lastTransitionTime"]
    assert (again[0]["reason"], again[0]["observedGeneration"]) == ("B", 2)
    changed = conditions.merge(again, [Condition("Ready", None, "C", "c")], generation=2, moment=MONDAY + HOUR)
    assert changed[0]["lastTransitionTime"] == "2026-03-02T01:00:00Z"
    assert changed[0]["status"] == "Unknown"
