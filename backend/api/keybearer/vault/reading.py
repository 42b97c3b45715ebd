"""The hot path: one round trip, one decryption, one header."""

import json
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import asyncpg

from keybearer.keys.envelope import Owner
from keybearer.kit.database import Database
from keybearer.kit.errors import Conflict, Unavailable
from keybearer.providers.model import Provider
from keybearer.vault import errors, sealing
from keybearer.vault.model import Credential, Sealed
from keybearer.vault.sealing import Keys, WrappedKey
from keybearer.vault.upstream import Upstream

FORMS = frozenset({"api_key", "basic"})


class Reader:
    """Reads a connection and makes a credential of it; never talks to a provider."""

    def __init__(self, db: Database, keys: Keys, upstream: Upstream, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._keys = keys
        self._upstream = upstream
        self._clock = clock

    async def read(self, tenant_id: UUID, connection_id: UUID) -> Sealed:
        """Raises `connection_not_found`, `connection_revoked` or `needs_reconnect`."""
        records = await self._db.read("vault_read", tenant_id, connection_id)
        if not records:
            raise errors.connection_not_found()
        sealed = _sealed(tenant_id, connection_id, records[0])
        if sealed.state == "revoked":
            raise errors.connection_revoked(connection_id, sealed.provider, self._title(sealed.provider))
        if sealed.state == "needs_reconnect":
            raise self.needs_reconnect(sealed, sealed.state_reason)
        return sealed

    def is_valid(self, sealed: Sealed) -> bool:
        return sealed.valid_at(self._clock())

    def secret(self, sealed: Sealed) -> str:
        """What is sent upstream: the access token, or the form's fields."""
        owner = Owner.user(sealed.tenant_id, sealed.user_id)
        secret = sealing.open_column(
            self._keys, sealed.key, owner, sealed.connection_id, "access_token", sealed.access_token
        )
        if secret is None:
            raise self.needs_reconnect(sealed, "no_token")
        return secret

    def credential(self, sealed: Sealed) -> Credential:
        provider = self._upstream.get_provider(sealed.provider)
        header, value = provider.credential.render(_values(provider, self.secret(sealed)))
        return Credential(
            connection_id=sealed.connection_id,
            user_id=sealed.user_id,
            provider=sealed.provider,
            account_name=sealed.account_name,
            scopes=sealed.scopes,
            epoch=sealed.epoch,
            expires_at=sealed.access_expires_at,
            header=header,
            value=value,
            key=sealed.key,
        )

    def needs_reconnect(self, sealed: Sealed, reason: str | None) -> Conflict:
        return errors.needs_reconnect(sealed.connection_id, sealed.provider, self._title(sealed.provider), reason)

    def provider_unavailable(self, sealed: Sealed, retry_after: int) -> Unavailable:
        return errors.provider_unavailable(self._title(sealed.provider), retry_after)

    def _title(self, name: str) -> str:
        provider = self._upstream.find_provider(name)
        return provider.title if provider is not None else name


def _values(provider: Provider, secret: str) -> dict[str, str]:
    """What the credential's format may name: the form's fields, or the token."""
    if provider.auth in FORMS:
        fields: dict[str, str] = json.loads(secret)
        return fields
    return {"access_token": secret}


def _sealed(tenant_id: UUID, connection_id: UUID, record: asyncpg.Record) -> Sealed:
    return Sealed(
        tenant_id=tenant_id,
        connection_id=connection_id,
        user_id=record["user_id"],
        provider=record["provider"],
        account_name=record["account_name"],
        state=record["state"],
        state_reason=record["state_reason"],
        scopes=tuple(record["scopes"]),
        access_token=record["access_token"],
        access_expires_at=record["access_expires_at"],
        epoch=record["epoch"],
        refreshable=record["refreshable"],
        key=WrappedKey(record["dek_id"], record["kek_id"], record["wrapped"]),
    )
