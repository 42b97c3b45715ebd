"""Records what happened, in the transaction in which it happened."""

from keybearer.keys.service import Keys
from keybearer.kit.database import Database, Transaction
from keybearer.ledger import record, store
from keybearer.ledger.calls import CallWriter
from keybearer.ledger.model import Entry

__all__ = ["CallWriter", "Ledger"]


class Ledger:
    def __init__(self, db: Database, keys: Keys) -> None:
        self._db = db
        self._keys = keys

    async def record(self, tx: Transaction, entry: Entry) -> None:
        """Commits or fails with the caller's transaction, which must be the entry's tenant's."""
        full = record.with_address(entry)
        key = await self._keys.ensure(tx, record.owner_of(full)) if full.detail else None
        await store.append(tx, [record.row_of(full, self._keys, key)])
