"""Puts what a provider gave into the vault: a new connection, or new life for the same account's old one."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from keybearer.keys.envelope import Owner
from keybearer.kit.database import Transaction
from keybearer.providers.model import Provider
from keybearer.providers.tokens import TokenAnswer
from keybearer.vault import sealing, store
from keybearer.vault.model import Connection, Secrets, granted_scopes
from keybearer.vault.record import Recorder, Subject
from keybearer.vault.refresh.endings import expiry
from keybearer.vault.sealing import Keys
from keybearer.vault.store import SealedSecrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is to be kept, whichever way it came."""

    tenant_id: UUID
    user_id: UUID
    provider: Provider
    account_id: str
    account_name: str
    secrets: Secrets
    scopes: tuple[str, ...] | None
    requested: tuple[str, ...]
    access_expires_at: datetime | None


class Keeping:
    def __init__(self, keys: Keys, recorder: Recorder, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._recorder = recorder
        self._clock = clock

    def from_consent(
        self,
        tenant_id: UUID,
        user_id: UUID,
        provider: Provider,
        account: tuple[str, str],
        answer: TokenAnswer,
        requested: Sequence[str],
    ) -> Offer:
        return Offer(
            tenant_id=tenant_id,
            user_id=user_id,
            provider=provider,
            account_id=account[0],
            account_name=account[1],
            secrets=Secrets(
                access_token=answer.access_token, refresh_token=answer.refresh_token, id_token=answer.id_token
            ),
            scopes=answer.scopes,
            requested=tuple(requested),
            access_expires_at=expiry(self._clock(), answer, 0.0),
        )

    def from_form(
        self,
        tenant_id: UUID,
        user_id: UUID,
        provider: Provider,
        account: tuple[str, str],
        fields: Mapping[str, str],
        answer: TokenAnswer | None,
    ) -> Offer:
        """With an answer (client_credentials) the fields are what lasts; without one they are the credential."""
        lasting = json.dumps(dict(fields), separators=(",", ":"))
        if answer is None:
            secrets = Secrets(access_token=lasting)
        else:
            secrets = Secrets(access_token=answer.access_token, refresh_token=lasting)
        return Offer(
            tenant_id=tenant_id,
            user_id=user_id,
            provider=provider,
            account_id=account[0],
            account_name=account[1],
            secrets=secrets,
            scopes=answer.scopes if answer is not None else (),
            requested=(),
            access_expires_at=None if answer is None else expiry(self._clock(), answer, 0.0),
        )

    async def keep(self, tx: Transaction, offer: Offer) -> Connection:
        owner = Owner.user(offer.tenant_id, offer.user_id)
        key = await self._keys.ensure(tx, owner)
        earlier = await self._earlier(tx, offer)
        if earlier is None:
            new = self._new(offer, key.id)
            if await store.add(tx, new, self._seal(offer.secrets, owner, key, new.id)):
                await self._told(tx, new, "connection.created")
                return new
            earlier = await self._earlier(tx, offer)
            assert earlier is not None, "a row that was in the way is visible to the next statement"
        return await self._reconnect(tx, offer, earlier, owner, key)

    async def _earlier(self, tx: Transaction, offer: Offer) -> Connection | None:
        return await store.find_account(tx, offer.tenant_id, offer.user_id, offer.provider.name, offer.account_id)

    async def _reconnect(
        self, tx: Transaction, offer: Offer, earlier: Connection, owner: Owner, key: sealing.WrappedKey
    ) -> Connection:
        """A provider that gives a refresh token at the first consent only goes on with that one, while it works."""
        works = earlier.state == "active"
        renewed = replace(
            earlier,
            account_name=offer.account_name,
            state="active",
            state_reason=None,
            scopes=self._scopes(offer, earlier.scopes if works else ()),
            dek_id=key.id,
            access_expires_at=offer.access_expires_at,
            grant_expires_at=self._grant_ends(offer.provider),
            epoch=earlier.epoch + 1,
        )
        await store.renew(
            tx,
            renewed,
            self._seal(offer.secrets, owner, key, earlier.id),
            keep_refresh_token=works and offer.secrets.refresh_token is None,
            keep_id_token=works and offer.secrets.id_token is None,
        )
        await self._told(tx, renewed, "connection.reconnected")
        return renewed

    def _new(self, offer: Offer, dek_id: UUID) -> Connection:
        return Connection(
            id=uuid4(),
            tenant_id=offer.tenant_id,
            user_id=offer.user_id,
            provider=offer.provider.name,
            account_id=offer.account_id,
            account_name=offer.account_name,
            state="active",
            state_reason=None,
            scopes=self._scopes(offer, ()),
            access_expires_at=offer.access_expires_at,
            grant_expires_at=self._grant_ends(offer.provider),
            last_used_at=None,
            created_at=self._clock(),
            epoch=1,
            dek_id=dek_id,
        )

    def _scopes(self, offer: Offer, earlier: tuple[str, ...]) -> tuple[str, ...]:
        return granted_scopes(offer.scopes, offer.requested, earlier, keeps_earlier=bool(offer.provider.incremental))

    def _grant_ends(self, provider: Provider) -> datetime | None:
        return None if provider.grant_lifetime is None else provider.grant_lifetime.ends(self._clock())

    def _seal(self, secrets: Secrets, owner: Owner, key: sealing.WrappedKey, connection_id: UUID) -> SealedSecrets:
        def seal(column: str, secret: str | None) -> bytes | None:
            return sealing.seal_column(self._keys, key, owner, connection_id, column, secret)

        return SealedSecrets(
            access_token=seal("access_token", secrets.access_token),
            refresh_token=seal("refresh_token", secrets.refresh_token),
            id_token=seal("id_token", secrets.id_token),
        )

    async def _told(self, tx: Transaction, connection: Connection, action: str) -> None:
        subject = subject_of(connection)
        await self._recorder.by_person(tx, subject, action, detail={"scopes": list(connection.scopes)})
        await self._recorder.changed(tx, subject, connection.state_at(self._clock()))


def subject_of(connection: Connection) -> Subject:
    return Subject(
        connection.tenant_id, connection.user_id, connection.id, connection.provider, connection.account_name
    )
