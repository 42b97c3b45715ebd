"""Writes down what strangers ask for, to be done when nobody waits for the answer.

Whether there is such an account changes what is done, and so how long it takes. Written down, it is one row of
ciphertext for everybody; who asked learns nothing, neither from the answer nor from its time.
"""

import json
from collections.abc import Mapping
from uuid import UUID, uuid4

from keybearer.keys.envelope import Owner, Place
from keybearer.keys.service import Keys
from keybearer.kit import context
from keybearer.kit.context import RequestContext
from keybearer.kit.database import Transaction
from keybearer.letters import store
from keybearer.letters.model import Errand


class Errands:
    """`enabled` says whether there is mail to answer with. Without it nothing is written down."""

    def __init__(self, keys: Keys, *, enabled: bool) -> None:
        self._keys = keys
        self.enabled = enabled

    async def ask(self, tx: Transaction, tenant_id: UUID, kind: str, **said: str) -> None:
        if not self.enabled:
            return
        errand_id, request = uuid4(), context.request.get()
        asked = {"said": said, "request_id": request.request_id, "address": request.address}
        _, sealed = await self._keys.seal(tx, Owner.tenant(tenant_id), _place(errand_id), json.dumps(asked).encode())
        await store.add_errand(tx, tenant_id, errand_id, kind, sealed)

    async def open(self, tx: Transaction, errand: Errand) -> tuple[Mapping[str, str], RequestContext]:
        """What was said, and the request that it came with, so that the ledger can name it. Raises EnvelopeError."""
        place = _place(errand.id)
        asked = json.loads(await self._keys.open(tx, Owner.tenant(errand.tenant_id), place, errand.sealed))
        return asked["said"], RequestContext(asked["request_id"], asked["address"])


def _place(errand_id: UUID) -> Place:
    return Place("errands", str(errand_id), "sealed")
