"""What can end a call while it runs: the agent hangs up, or the person takes the grant back."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from keybearer.kit.errors import Unavailable
from keybearer.proxy.body import RequestBody
from keybearer.proxy.interruption import Interruption
from keybearer.sessions.model import Resolved

_CHECK_SECONDS = 0.5
# A database that is away for a moment does not break transfers; one that stays away cannot vouch for the grant.
_UNPROVEN_SECONDS = 30.0


class Resolver(Protocol):
    """What is needed of `sessions.resolver.BearerResolver`."""

    async def resolve(self, token: str) -> Resolved | None: ...

    def on_revoked(self, resolved: Resolved, close: Callable[[], None]) -> Callable[[], None]: ...


async def client_gone(body: RequestBody, interruption: Interruption) -> None:
    """While the body is being read, its reader notices."""
    await body.until_gone()
    interruption.end("client_gone")


async def grant_ended(
    resolver: Resolver, token: str, resolved: Resolved, connection_id: UUID, interruption: Interruption
) -> None:
    """Wakes at a revocation, and looks twice a second in case the news of one was lost on the way."""
    proven = time.monotonic()
    while True:
        changed = asyncio.Event()
        # Registered before asking, so that nothing between the two is missed.
        unregister = resolver.on_revoked(resolved, changed.set)
        try:
            with contextlib.suppress(Unavailable):
                if not holds(await resolver.resolve(token), connection_id):
                    interruption.end("grant_ended")
                    return
                proven = time.monotonic()
            if time.monotonic() - proven > _UNPROVEN_SECONDS:
                interruption.end("grant_unproven")
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_SECONDS):
                    await changed.wait()
        finally:
            unregister()


def holds(resolved: Resolved | None, connection_id: UUID) -> bool:
    return resolved is not None and any(each == connection_id for each, _ in resolved.connections)
