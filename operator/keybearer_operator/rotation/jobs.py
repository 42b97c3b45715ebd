"""The Jobs of a rotation: pure, from the pod template of whoever already reaches the database."""

import copy
from typing import Any, Final

from keybearer_operator import names
from keybearer_operator.kube import Object
from keybearer_operator.rotation.model import Job, Phase, Purpose, StartJob

ROTATION_LABEL: Final = "keybearer.dev/rotation"
TEMPLATE: Final = "keybearer.dev/jobs-from"
"""Annotation of a SecretRotation, `CronJob/NAME` or `Deployment/NAME`: whose pod template its Jobs are made of. Without
it, the first consumer's."""

_CREDENTIALS = "new-credentials"
_CREDENTIALS_PATH = "/etc/keybearer/new-credentials"
_KEPT_SECONDS = 6 * 3600
_RETRIES = 2
# What makes sense for a server alone.
_SERVER_FIELDS = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "stdin", "tty")
_SERVER_SPEC = ("initContainers", "topologySpreadConstraints", "terminationGracePeriodSeconds", "hostname", "subdomain")


def build(rotation: Object, template: Object, selector: dict[str, str], start: StartJob, pending: str) -> Object:
    """`selector`: labels that the Job's pods must not all have, or they would count as the consumer's.

    `pending`: the Secret with the login's new password, which one purpose needs.
    """
    metadata = rotation["metadata"]
    labels = _labels(template, selector) | {names.MANAGED_BY: names.MANAGER, ROTATION_LABEL: metadata["name"]}
    owner = {
        "apiVersion": rotation["apiVersion"],
        "kind": rotation["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": start.name,
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            "backoffLimit": _RETRIES,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": _pod(template["spec"], start, pending)},
        },
    }


def seen(job: Object, pods: list[Object]) -> Job:
    """`pods`: the Job's own. A running one's message says why it cannot start; an ended one's is its last word."""
    outcomes = {each["type"] for each in job.get("status", {}).get("conditions", ()) if each["status"] == "True"}
    if "Complete" in outcomes:
        return Job(Phase.SUCCEEDED, _last_words(pods))
    if "Failed" in outcomes:
        return Job(Phase.FAILED)
    return Job(Phase.RUNNING, _why_not_started(pods))


def _pod(spec: Object, start: StartJob, pending: str) -> Object:
    made = {name: copy.deepcopy(value) for name, value in spec.items() if name not in _SERVER_SPEC}
    program = {name: value for name, value in made["containers"][0].items() if name not in _SERVER_FIELDS}
    program |= {"args": list(start.arguments), "terminationMessagePolicy": "FallbackToLogsOnError"}
    made |= {"containers": [program], "restartPolicy": "Never", "automountServiceAccountToken": False}
    if start.purpose is Purpose.SET_LOGIN:
        secret = {"secretName": pending, "defaultMode": 0o440}
        made["volumes"] = [*made.get("volumes", ()), {"name": _CREDENTIALS, "secret": secret}]
        mount = {"name": _CREDENTIALS, "mountPath": _CREDENTIALS_PATH, "readOnly": True}
        program["volumeMounts"] = [*program.get("volumeMounts", ()), mount]
        variable = {"name": "KEYBEARER_NEW_CREDENTIALS_DIR", "value": _CREDENTIALS_PATH}
        program["env"] = [*program.get("env", ()), variable]
    return made


def _labels(template: Object, selector: dict[str, str]) -> dict[str, str]:
    """Those that policies go by, with a component of their own."""
    labels: dict[str, str] = dict(template.get("metadata", {}).get("labels") or {})
    labels["app.kubernetes.io/component"] = "keys"
    if selector.items() <= labels.items():
        labels = {name: value for name, value in labels.items() if name not in selector}
    return labels


def _last_words(pods: list[Object]) -> str:
    ended = [state["terminated"] for state in _states(pods) if "terminated" in state]
    return next((str(each.get("message", "")) for each in ended if each.get("exitCode") == 0), "")


def _why_not_started(pods: list[Object]) -> str:
    for state in _states(pods):
        reason = state.get("waiting", {}).get("reason", "")
        if reason not in {"", "ContainerCreating", "PodInitializing"}:
            return f"{reason}: {state['waiting'].get('message', '')}".strip(": ")
    return ""


def _states(pods: list[Object]) -> list[dict[str, Any]]:
    return [each.get("state", {}) for pod in pods for each in pod.get("status", {}).get("containerStatuses", ())]
