"""What makes a kind of ours work, and how its events become keys in its queue."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import kopf

from keybearer_operator.kube import Kube, Object, Resource
from keybearer_operator.names import Key
from keybearer_operator.work import Reconcile, Work


@dataclass(frozen=True, slots=True)
class Watch:
    """Objects whose changes concern objects of ours. `labels`: those that have them alone; no value means any."""

    resource: Resource
    keys: Callable[[Object], Iterable[Key]]
    labels: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Controller:
    """`reconcile` is called for each object of `resource` after each change, and at least every `resync` seconds."""

    resource: Resource
    reconcile: Reconcile
    watches: Sequence[Watch] = ()
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


def watch(registry: kopf.OperatorRegistry, controller: Controller, work: Work) -> None:
    """kopf's handlers only put keys into the queue."""
    group, version = controller.resource.api_version.split("/")
    handler_id = f"{controller.resource.plural}-{{}}".format

    async def own(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002 - kopf's name
        key = Key(str(body.metadata.namespace), str(body.metadata.name))
        await (work.forget(key) if type == "DELETED" else work.add(key))

    kopf.on.event(group, version, controller.resource.plural, id=handler_id("own"), registry=registry)(own)
    for number, each in enumerate(controller.watches):
        _watch_others(registry, each, work, handler_id(number))


def _watch_others(registry: kopf.OperatorRegistry, watched: Watch, work: Work, handler_id: str) -> None:
    async def others(body: kopf.Body, **_: Any) -> None:
        for key in watched.keys(dict(body)):
            await work.add(key)

    group, _, version = watched.resource.api_version.rpartition("/")
    labels: Any = {name: kopf.PRESENT if value is None else value for name, value in watched.labels.items()}
    kopf.on.event(group, version, watched.resource.plural, id=handler_id, labels=labels or None, registry=registry)(
        others
    )


async def resync(kube: Kube, controller: Controller, work: Work, namespace: str) -> None:
    """The queue knows what there is, whatever events were lost."""
    there = await kube.list_objects(controller.resource, namespace)
    await work.keep_only(Key(namespace, each["metadata"]["name"]) for each in there)
