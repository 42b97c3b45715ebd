"""Records what happened, in the transaction in which it happened."""

from dataclasses import replace

from keybearer.keys.envelope import WrappedKey
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
        key = await self._key(tx, full) if full.detail else None
        if key is None:
            full = replace(full, detail={})
        await store.append(tx, [record.row_of(full, self._keys, key)])

    async def place(self, tx: Transaction) -> tuple[int, int]:
        """Where in the ledger the transaction's entries are: era and transaction id."""
        return await store.place(tx)

    async def _key(self, tx: Transaction, entry: Entry) -> WrappedKey | None:
        """A person's key is made when they register, never here: late news of an erased person would bring it back."""
        owner = record.owner_of(entry)
        return await self._keys.find(tx, owner) if entry.user_id is not None else await self._keys.ensure(tx, owner)
