"""`python -m keybearer_operator`: the whole operator, from its settings to its end."""

import asyncio
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import kopf
import structlog
from prometheus_client import start_http_server

from keybearer_operator import controller, installed, logs, names
from keybearer_operator.controller import Controller
from keybearer_operator.kube import ApiError, Kube, connected
from keybearer_operator.lease import Lease
from keybearer_operator.login import login
from keybearer_operator.pools import reconcile as pools
from keybearer_operator.rotation import reconcile as rotations
from keybearer_operator.settings import Settings, SettingsError, read
from keybearer_operator.work import Work

log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 5.0

_CONTROLLERS: Sequence[Callable[[Kube, Lease, httpx2.AsyncClient], Controller]] = (
    rotations.make,
    pools.make,
)
"""What the operator serves. Each gets the access to the API server, the Lease, and a client that leads to pods."""


def main() -> None:
    try:
        settings = read()
    except SettingsError as error:
        sys.exit(f"keybearer_operator: {error}")
    logs.configure(settings.log_level)
    try:
        asyncio.run(run(settings))
    except kopf.LoginError as error:
        sys.exit(f"keybearer_operator: {error}")


async def run(settings: Settings) -> None:
    """Until a signal ends it. Raises where a part of it ended by itself, so that the pod is started again."""
    start_http_server(settings.metrics_port)
    to_pods = httpx2.AsyncClient(trust_env=False, follow_redirects=False)
    async with connected(login) as kube, to_pods:
        lease = Lease(kube, settings.namespace)
        served = [make(kube, lease, to_pods) for make in _CONTROLLERS]
        await _wait_for_kinds(kube, served)
        works = [
            (each, Work(each.resource.kind, each.reconcile, lease, workers=each.workers, resync=each.resync))
            for each in served
        ]
        registry = _registry(works)
        background = [
            lease.keep(),
            *(_work(kube, each, work, settings.namespace) for each, work in works),
        ]
        if settings.rotations_dir is not None:
            background.append(
                installed.keep(kube, lease, settings.namespace, settings.rotations_dir, settings.rotations_owner)
            )
        tasks = [asyncio.create_task(each) for each in background]
        watching = asyncio.create_task(_watch(registry, settings))
        try:
            await asyncio.wait([*tasks, watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watching, *tasks):
                task.cancel()
            ended = await asyncio.gather(watching, *tasks, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


def _registry(works: Sequence[tuple[Controller, Work]]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    async def authenticate(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo:
        return login(settings)

    kopf.on.login(registry=registry)(authenticate)
    for each, work in works:
        controller.watch(registry, each, work)
    return registry


async def _watch(registry: kopf.OperatorRegistry, settings: Settings) -> None:
    """kopf watches, probes and listens for signals; it writes nothing: no finalizers, no annotations, no events."""
    defaults = kopf.OperatorSettings()
    kopf_settings = dataclasses.replace(
        defaults,
        posting=dataclasses.replace(defaults.posting, enabled=False),
        # Rights in one namespace suffice: kinds and namespaces are not watched.
        scanning=dataclasses.replace(defaults.scanning, disabled=True),
        networking=dataclasses.replace(defaults.networking, connect_timeout=10),
        watching=dataclasses.replace(defaults.watching, server_timeout=240),
    )
    await kopf.operator(
        registry=registry,
        settings=kopf_settings,
        standalone=True,
        namespaces=[settings.namespace],
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
    )


async def _wait_for_kinds(kube: Kube, served: Sequence[Controller]) -> None:
    """kopf looks once which kinds there are, so it starts when all of ours are."""
    while True:
        try:
            missing = {each.resource.plural for each in served} - await kube.kinds(names.API_VERSION)
        except ApiError as error:
            log.warning("start.api_server_away", error=str(error))
        else:
            if not missing:
                return
            log.warning(
                "start.kinds_missing", missing=sorted(missing), mend="Install the chart with crds.install=true."
            )
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _work(kube: Kube, each: Controller, work: Work, namespace: str) -> None:
    """No look before the mirrors are whole: what is not there could be made twice."""
    whole = asyncio.Event()

    async def keep_resynced() -> None:
        while True:
            try:
                await controller.resync(kube, each, work, namespace)
                whole.set()
            except ApiError as error:
                log.warning("resync.failed", kind=each.resource.kind, error=str(error))
            await asyncio.sleep(each.resync if whole.is_set() else _LOOK_AGAIN_SECONDS)

    async with asyncio.TaskGroup() as parts:
        parts.create_task(keep_resynced())
        await whole.wait()
        parts.create_task(work.run())
