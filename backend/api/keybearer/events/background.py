"""Keeps the outbox short."""

import structlog

from keybearer.events import store
from keybearer.kit import system
from keybearer.kit.database import Database

KEPT_SECONDS = 3600.0

log = structlog.get_logger(__name__)


async def prune(db: Database) -> int:
    """Removes events that no page will come back for; how many."""
    async with system.transaction(db) as tx:
        removed = await store.remove_older(tx, KEPT_SECONDS)
    if removed:
        log.info("events.pruned", removed=removed)
    return removed
