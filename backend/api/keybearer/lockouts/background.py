"""Forgets old guesses and sources."""

from keybearer.kit import system
from keybearer.kit.database import Database
from keybearer.lockouts import store


async def prune(db: Database) -> int:
    """How many there were."""
    async with system.transaction(db) as tx:
        return await store.remove_old(tx)
