"""Whether a restore came to its end, which every start asks; so this imports nothing that only a restore needs."""

from keybearer.backups import store
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError


async def check_settled(db: Database) -> None:
    """Raises ConfigurationError where people who left would be served again."""
    async with db.transaction(None) as tx:
        waits = await store.waits_for_erasures(tx)
    if waits:
        raise ConfigurationError(
            "This database was restored, and nobody has deleted again who deleted their account since the backup. Run "
            "`keybearer restore --erasures` with KEYBEARER_ERASURE_LOG_DIR, then start again."
        )
