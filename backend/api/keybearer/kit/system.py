"""The third entrance to the database: background work that looks across tenants.

`SET LOCAL ROLE keybearer_system` sees the rows of every tenant in the tables that have a policy for it. Import rules
let only `background.py` modules come here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from keybearer.kit.database import Database, Transaction

_BECOME_SYSTEM = text("SET LOCAL ROLE keybearer_system")


@asynccontextmanager
async def transaction(db: Database) -> AsyncIterator[Transaction]:
    async with db.transaction(None) as tx:
        await tx.execute(_BECOME_SYSTEM)
        yield tx
