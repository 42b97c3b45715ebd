"""What is tidied for every tenant."""

import structlog

from keybearer.identity.invitations import store as invitations
from keybearer.kit import system
from keybearer.kit.database import Database

log = structlog.get_logger(__name__)


async def prune(db: Database) -> int:
    """Removes invitations that nobody used in time; how many."""
    async with system.transaction(db) as tx:
        removed = await invitations.remove_expired(tx)
    if removed:
        log.info("identity.pruned", removed=removed)
    return removed
