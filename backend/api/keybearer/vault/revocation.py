"""How connections end: revoked at the provider where it can, and destroyed here whatever the provider does."""

import asyncio
from uuid import UUID

import structlog

from keybearer.keys.envelope import Owner
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError, Unavailable
from keybearer.vault import sealing, store
from keybearer.vault.model import Connection, Secrets
from keybearer.vault.sealing import Keys
from keybearer.vault.store import SealedSecrets
from keybearer.vault.upstream import Upstream

_REVOKE_SECONDS = 5.0
_AT_ONCE = 8

log = structlog.get_logger(__name__)


class Revoker:
    """Tells providers. Never raises for what a provider does or for a token that no longer opens."""

    def __init__(self, db: Database, keys: Keys, upstream: Upstream) -> None:
        self._db = db
        self._keys = keys
        self._upstream = upstream

    async def read(self, tx: Transaction, connection: Connection) -> Secrets:
        """The tokens to revoke; none where they do not open, which must not stop their destruction."""
        sealed = await store.secrets(tx, connection.tenant_id, connection.id)
        owner = Owner.user(connection.tenant_id, connection.user_id)
        key = await self._keys.find(tx, owner)
        if key is None:
            return Secrets()
        try:
            return self._open(sealed, key, owner, connection.id)
        except Unavailable:
            return Secrets()

    async def revoke(self, connection: Connection, secrets: Secrets) -> bool:
        """Whether the provider said that the tokens are void. Typed secrets have nobody to tell."""
        try:
            provider = self._upstream.get_provider(connection.provider)
            if provider.auth != "oauth2" or (secrets.access_token is None and secrets.refresh_token is None):
                return False
            async with asyncio.timeout(_REVOKE_SECONDS):
                return await self._upstream.revoke(
                    provider, access_token=secrets.access_token, refresh_token=secrets.refresh_token
                )
        except (KeybearerError, TimeoutError) as error:
            log.warning("vault.revocation.failed", provider=connection.provider, error=type(error).__name__)
            return False

    async def revoke_all(self, tenant_id: UUID, user_id: UUID) -> int:
        """How many connections the providers revoked."""
        async with self._db.transaction(tenant_id) as tx:
            found = [(one, await self.read(tx, one)) for one in await store.of_person(tx, tenant_id, user_id)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def revoke(connection: Connection, secrets: Secrets) -> bool:
            async with gate:
                return await self.revoke(connection, secrets)

        return sum(await asyncio.gather(*(revoke(one, secrets) for one, secrets in found)))

    def _open(self, sealed: SealedSecrets, key: sealing.WrappedKey, owner: Owner, connection_id: UUID) -> Secrets:
        def opened(column: str, value: bytes | None) -> str | None:
            return sealing.open_column(self._keys, key, owner, connection_id, column, value)

        return Secrets(
            access_token=opened("access_token", sealed.access_token),
            refresh_token=opened("refresh_token", sealed.refresh_token),
        )
