"""Keeps the erasure log where no server can write to it: from the ledger, which records who was erased.

Run every few minutes. Whoever left after the last run is missing in the log if the database is lost before the next.
"""

import asyncio
from pathlib import Path

from keybearer.backups import folder, store
from keybearer.backups.errors import file_errors
from keybearer.keys import erasures
from keybearer.keys.erasures import Erasure, ErasureLog
from keybearer.kit.database import Database
from keybearer.ledger import background as ledger


async def export_erasures(db: Database, to: Path) -> int:
    """`db` is the migrating login's; how many the log had not. Raises BackupError and ConfigurationError."""
    folder.check(to)
    async with db.transaction(None) as tx:
        await store.begin_snapshot(tx)
        await store.revision(tx)
        erased = await ledger.erased(tx)
    return await asyncio.to_thread(_append, to, erased)


def _append(to: Path, erased: list[Erasure]) -> int:
    known = {(erasure.tenant_id, erasure.user_id) for erasure in erasures.read(to)}
    missing = {(erasure.tenant_id, erasure.user_id): erasure for erasure in reversed(erased)}
    log = ErasureLog(to)
    new = [erasure for person, erasure in reversed(missing.items()) if person not in known]
    with file_errors(to, "written to"):
        for erasure in new:
            log.append(erasure)
    return len(new)
