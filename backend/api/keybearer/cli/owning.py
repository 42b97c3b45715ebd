"""The migrating login's door to the database, for commands that see every tenant."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from keybearer.kit import settings
from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.database import Database


@asynccontextmanager
async def opened(environment: Mapping[str, str]) -> AsyncIterator[Database]:
    """Raises ConfigurationError that says why there is no way in, before anything else is done."""
    address = DatabaseAddress(settings.migration_database_url(environment), setting="MIGRATION_DATABASE_URL")
    with address.explained():
        await (await address.connect()).close()
    db = Database(address.url, pool_size=1)
    try:
        yield db
    finally:
        await db.close()
