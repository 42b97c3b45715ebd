"""What makes a kind of ours work, and how its events become keys in its queue."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import kopf

from keybearer_operator.kube import Kube, Object, Resource
from keybearer_operator.mirror import Mirror
from keybearer_operator.names import Key
from keybearer_operator.work import Reconcile, Work


@dataclass(frozen=True, slots=True)
class Watch:
    """Objects whose changes concern objects of ours. `labels`: those that have them alone; no value means any."""

    resource: Resource
    keys: Callable[[Object], Iterable[Key]]
    labels: Mapping[str, str | None] = field(default_factory=dict)
    mirror: Mirror | None = None


@dataclass(frozen=True, slots=True)
class Controller:
    """`reconcile` is called for each object of `resource` after each change, and at least every `resync` seconds.

    Mirrors have what the event tells of before `reconcile` is called for it.
    """

    resource: Resource
    reconcile: Reconcile
    watches: Sequence[Watch] = ()
    mirror: Mirror | None = None
    workers: int = 8
    resync: float = 30.0


def owner_keys(resource: Resource) -> Callable[[Object], list[Key]]:
    """For a Watch: the objects of `resource` that own the changed one."""

    def keys(changed: Object) -> list[Key]:
        metadata = changed["metadata"]
        owners = metadata.get("ownerReferences", [])
        return [
            Key(metadata["namespace"], owner["name"])
            for owner in owners
            if owner["kind"] == resource.kind and owner["apiVersion"] == resource.api_version
        ]

    return keys


def own_key(found: Object) -> Key:
    return Key(found["metadata"]["namespace"], found["metadata"]["name"])


def watch(registry: kopf.OperatorRegistry, controller: Controller, work: Work) -> None:
    """kopf's handlers only mirror what there is and put keys into the queue."""
    own = Watch(controller.resource, lambda found: [own_key(found)], mirror=controller.mirror)
    for number, each in enumerate([own, *controller.watches]):
        _watch(registry, each, work, f"{controller.resource.plural}-{number}")


def _watch(registry: kopf.OperatorRegistry, watched: Watch, work: Work, handler_id: str) -> None:
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        found: Object = dict(event["object"])
        if watched.mirror is not None:
            (watched.mirror.remove if event["type"] == "DELETED" else watched.mirror.put)(found)
        for key in watched.keys(found):
            await work.add(key)

    group, _, version = watched.resource.api_version.rpartition("/")
    labels: Any = {name: kopf.PRESENT if value is None else value for name, value in watched.labels.items()}
    kopf.on.event(group, version, watched.resource.plural, id=handler_id, labels=labels or None, registry=registry)(
        changed
    )


async def resync(kube: Kube, controller: Controller, work: Work, namespace: str) -> None:
    """The mirrors and the queue know what there is, whatever events were lost."""
    for each in controller.watches:
        if each.mirror is not None:
            selector = ",".join(name if value is None else f"{name}={value}" for name, value in each.labels.items())
            each.mirror.renew(*await kube.list_at(each.resource, namespace, selector))
    there, version = await kube.list_at(controller.resource, namespace)
    if controller.mirror is not None:
        controller.mirror.renew(there, version)
    await work.look_at(own_key(each) for each in there)
