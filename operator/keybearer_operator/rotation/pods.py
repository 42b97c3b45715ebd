"""Which pods have to acknowledge, and which others use the Secret (rule R9): pure, on the API's objects."""

from collections.abc import Iterator
from typing import Any, Final

from keybearer_operator.kube import Object
from keybearer_operator.rotation.model import Type

NOTICES: Final = {
    Type.AES_KEYRING: "keybearer.dev/keyring",
    Type.SIGNING_KEYRING: "keybearer.dev/signing",
    Type.POSTGRES_USER: "keybearer.dev/database",
}
"""Annotations of pods, with the revision that they are told of. One each, because one pod may use all of them."""

FIRST_START: Final = "keybearer.dev/secrets-of-first-start"
"""Annotation of a pod: Secrets that it reads when its volume is empty and never again, separated by commas."""

_INTERNAL_PORT = 9090


def restart_annotation(rotation: str) -> str:
    """In the template of a consumer that is restarted; each rotation has its own."""
    return f"rotation.keybearer.dev/{rotation}"


def must_acknowledge(pod: Object) -> bool:
    """It has a running container and is not being deleted. Readiness is the wrong set: who is not ready may write."""
    return "deletionTimestamp" not in pod["metadata"] and any("running" in each for each in _container_states(pod))


def is_finished(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def life(pod: Object) -> tuple[str, ...]:
    """Changes when a container was started again: what was acknowledged before says nothing of it."""
    status = pod.get("status", {})
    return (pod["metadata"]["uid"], *(each.get("containerID", "") for each in status.get("containerStatuses", ())))


def address(pod: Object) -> str | None:
    """Where it tells what it holds."""
    ip = pod.get("status", {}).get("podIP")
    if not ip:
        return None
    ports = [port for each in pod["spec"]["containers"] for port in each.get("ports", ())]
    named = next((port["containerPort"] for port in ports if port.get("name") == "internal"), _INTERNAL_PORT)
    return f"http://[{ip}]:{named}" if ":" in ip else f"http://{ip}:{named}"


def reported(answer: dict[str, Any], kind: Type) -> str | None:
    """What an answer of /internal/keyring says of a Secret of this kind."""
    part = {
        Type.AES_KEYRING: answer,
        Type.SIGNING_KEYRING: answer.get("signing"),
        Type.POSTGRES_USER: answer.get("database"),
    }.get(kind)
    found = part.get("username" if kind is Type.POSTGRES_USER else "revision") if isinstance(part, dict) else None
    return found if isinstance(found, str) else None


def uses(pod: Object, secret: str) -> bool:
    """It mounts the Secret, or has it in its environment, and goes by it."""
    read_once = pod["metadata"].get("annotations", {}).get(FIRST_START, "").split(",")
    return secret not in read_once and any(name == secret for name in _secrets(pod["spec"]))


def _container_states(pod: Object) -> Iterator[dict[str, Any]]:
    status = pod.get("status", {})
    for kind in ("containerStatuses", "initContainerStatuses"):
        yield from (each.get("state", {}) for each in status.get(kind, ()))


def _secrets(spec: Object) -> Iterator[str | None]:
    for volume in spec.get("volumes", ()):
        yield volume.get("secret", {}).get("secretName")
        yield from (each.get("secret", {}).get("name") for each in volume.get("projected", {}).get("sources", ()))
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        yield from (each.get("secretRef", {}).get("name") for each in container.get("envFrom", ()))
        for variable in container.get("env", ()):
            yield variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name")
