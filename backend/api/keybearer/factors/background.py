"""Removes challenges that nobody answered, and seeds that nobody confirmed."""

from keybearer.factors import store
from keybearer.kit import system
from keybearer.kit.database import Database


async def prune(db: Database) -> int:
    """How many there were."""
    async with system.transaction(db) as tx:
        return await store.remove_stale_challenges(tx) + await store.remove_unconfirmed(tx)
