"""After a provider's 401: one refresh, and no more for a while if even a fresh token is refused.

Some calls answer 401 however good the token is; an agent repeating one must not turn into a storm of refreshes.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from keybearer.kit.errors import Conflict
from keybearer.vault.model import Credential

_PAUSE_SECONDS = 60.0
_BOUND = 10_000


class Refreshing(Protocol):
    async def refresh_now(
        self, tenant_id: UUID, connection_id: UUID, *, seen_epoch: int | None = None
    ) -> Credential: ...


class Renewal:
    def __init__(self, vault: Refreshing, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._vault = vault
        self._monotonic = monotonic
        self._paused_until: OrderedDict[UUID, float] = OrderedDict()

    async def find_fresh(self, tenant_id: UUID, refused: Credential) -> Credential | None:
        """None when there is nothing to try: the provider's own answer then says most.

        Raises what says more than a 401, such as Conflict("needs_reconnect").
        """
        if self._monotonic() < self._paused_until.get(refused.connection_id, 0.0):
            return None
        try:
            return await self._vault.refresh_now(tenant_id, refused.connection_id, seen_epoch=refused.epoch)
        except Conflict as error:
            if error.code == "connection_not_refreshable":
                return None
            raise

    def refused_again(self, connection_id: UUID) -> None:
        self._paused_until[connection_id] = self._monotonic() + _PAUSE_SECONDS
        self._paused_until.move_to_end(connection_id)
        while len(self._paused_until) > _BOUND:
            self._paused_until.popitem(last=False)
