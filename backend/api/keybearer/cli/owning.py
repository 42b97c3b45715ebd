"""The migrating login's door to the database, for commands that see every tenant."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from keybearer.kit import settings
from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.database import Database


@asynccontextmanager
async def opened(environment: Mapping[str, str]) -> AsyncIterator[Database]:
    """Raises ConfigurationError."""
    db = Database(await reachable_url(environment), pool_size=1)
    try:
        yield db
    finally:
        await db.close()


async def reachable_url(environment: Mapping[str, str]) -> str:
    """Raises ConfigurationError that says why there is no way in, before anything else is done."""
    address = DatabaseAddress(settings.migration_database_url(environment), setting="MIGRATION_DATABASE_URL")
    with address.explained():
        await (await address.connect()).close()
    return address.url
