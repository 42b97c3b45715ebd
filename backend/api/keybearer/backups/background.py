"""Tells monitoring when maintenance last went well: commands end, and only a server can be asked later."""

from keybearer.backups import metrics, store
from keybearer.kit.database import Database


async def measure(db: Database) -> None:
    async with db.transaction(None) as tx:
        newest = await store.last_successes(tx)
    for kind, gauge in metrics.LAST_SUCCESS.items():
        gauge.set(newest.get(kind, 0.0))
