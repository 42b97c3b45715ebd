"""`keybearer init --kubernetes`: the chart's Secrets, each made once and never changed.

They belong to no release, so that neither an uninstallation nor a rollback takes keys along.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import typer

from keybearer.cli import certificates, kubernetes_api, material, waiting
from keybearer.cli.kubernetes_api import ServiceAccount
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import cluster

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class _Place:
    """The installation's full name and its namespace."""

    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class _Kind:
    contents: Callable[[_Place], dict[str, str]]
    why_kept: str
    type: str = "Opaque"


def make(name: str, kinds: Sequence[str], account: ServiceAccount, *, seconds: int = 60) -> None:
    """`kinds` are the Secrets' names without the installation's. Waits `seconds` for an API server that is away."""
    if unknown := sorted(set(kinds) - set(_KINDS)):
        raise ConfigurationError(f"--secret {unknown[0]} is none of {', '.join(_KINDS)}.")
    if not kinds:
        raise ConfigurationError(f"--kubernetes needs --secret, once for each of {', '.join(_KINDS)} that is wanted.")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "--kubernetes takes the installation's full name: up to 53 lower case letters, digits and dashes."
        )
    waiting.run(_make(_Place(name, account.namespace), kinds, account, seconds))


async def _make(place: _Place, kinds: Sequence[str], account: ServiceAccount, seconds: int) -> None:
    async with kubernetes_api.connected(account) as api:
        for kind in dict.fromkeys(kinds):
            secret = _secret(place, kind)
            made = await waiting.until_ready(partial(api.create_secret, secret), seconds=seconds)
            typer.echo(f"{'made' if made else 'kept'} Secret {secret['metadata']['name']}")


def _secret(place: _Place, name: str) -> dict[str, Any]:
    kind = _KINDS[name]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"{place.name}-{name}",
            "namespace": place.namespace,
            "labels": {
                "app.kubernetes.io/name": "keybearer",
                "app.kubernetes.io/instance": place.name,
                "app.kubernetes.io/managed-by": "keybearer",
            },
            "annotations": {"keybearer.dev/kept-on-uninstall": kind.why_kept},
        },
        "type": kind.type,
        "stringData": kind.contents(place),
    }


def _login(name: str) -> dict[str, str]:
    return {"username": name, "password": material.password()}


def _certificate(place: _Place) -> dict[str, str]:
    service = f"{place.name}-postgres"
    inside = f"{service}.{place.namespace}"
    made = certificates.issue([service, inside, f"{inside}.svc", f"{inside}.svc.cluster.local", "localhost"])
    return {"ca.crt": made.authority, "tls.crt": made.certificate, "tls.key": made.key}


_IN_DATABASE = "The database's volume is kept too, and lets nobody in with another password."
_SHARED = "Whatever still runs goes on with it, and so does the next installation of this name."
_KINDS = {
    "keyring": _Kind(
        lambda _: material.keyring(),
        "What is encrypted in the database, and in its backups, can be read with these keys alone. Back them up apart.",
    ),
    "signing": _Kind(lambda _: material.signing_keyring(), "The ledger is proved with these keys, for ever."),
    "database": _Kind(lambda _: _login(cluster.APP_LOGIN), _IN_DATABASE),
    "database-migrator": _Kind(lambda _: _login(cluster.MIGRATION_LOGIN), _IN_DATABASE),
    "postgres": _Kind(lambda _: _login(cluster.SUPERUSER), _IN_DATABASE),
    "postgres-tls": _Kind(_certificate, _SHARED, "kubernetes.io/tls"),
    "valkey": _Kind(lambda _: {"password": material.password()}, _SHARED),
    "livekit": _Kind(lambda _: {"api-key": material.LIVEKIT_KEY, "api-secret": material.password()}, _SHARED),
}
