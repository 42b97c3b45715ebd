"""Publishes events with the change that they tell of, and wakes the streams that wait for them."""

from collections.abc import Mapping
from uuid import UUID

from keybearer.events import store
from keybearer.kit.database import Database, Transaction, notify


class Events:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def publish(
        self, tx: Transaction, tenant_id: UUID, user_id: UUID, name: str, data: Mapping[str, object]
    ) -> None:
        """Delivered if and when the transaction commits."""
        await store.add(tx, tenant_id, user_id, name, data)
        await notify(tx, "event", user_id)

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        await store.erase(tx, tenant_id, user_id)
