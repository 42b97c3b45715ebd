"""What the internal port answers: readiness, metrics, and which keys this process has loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, generate_latest
from starlette.types import ASGIApp

from keybearer.http.internal import internal_app
from keybearer.kit.errors import Unavailable

if TYPE_CHECKING:
    from keybearer.bootstrap.services import Services


def internal(services: Services) -> ASGIApp:
    async def checks() -> Mapping[str, str]:
        return await problems(services)

    async def keyring() -> Mapping[str, object]:
        ring, signing = services.keys.keyring, services.signing
        return {
            "revision": ring.revision,
            "primary": ring.primary,
            "keys": ring.digests,
            "signing": {"revision": signing.revision, "primary": signing.primary, "keys": signing.digests},
            "database": {"username": services.login.username},
        }

    async def metrics() -> bytes:
        return generate_latest(REGISTRY)

    return internal_app(checks=checks, keyring=keyring, metrics=metrics)


async def problems(services: Services) -> dict[str, str]:
    """Why this process must get no traffic; empty when it may."""
    found = {}
    try:
        await services.db.ping()
    except Unavailable:
        found["database"] = "The database does not answer."
    else:
        missing = await services.keys.missing(services.db)
        if missing:
            found["keyring"] = f"The keyring lacks {', '.join(sorted(missing))}, under which data is encrypted."
    return found
