"""What works across tenants: the one statement that writes every tenant's calls, and the sealer."""

from collections.abc import Sequence

from keybearer.kit import system
from keybearer.kit.database import Database
from keybearer.ledger import store
from keybearer.ledger.model import Row


async def append_started(db: Database, rows: Sequence[Row]) -> None:
    """All tenants in one statement and one commit.

    A transaction for each tenant would cost a commit each, and one person's calls would wait for strangers'. Each row's
    tenant comes from a resolved grant, never from a request's own words, and its ciphertext opens in that tenant alone.
    """
    async with system.transaction(db) as tx:
        await store.append(tx, rows)


async def append_finished(db: Database, rows: Sequence[Row]) -> None:
    async with system.transaction(db) as tx:
        await store.append_once(tx, rows)
