"""Passkeys: added by whoever is signed in, and enough to sign in with (WebAuthn with user verification)."""

import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from keybearer.factors import authenticators, errors, store
from keybearer.factors.authenticators import Unusable
from keybearer.factors.model import CHALLENGE_LIFETIME
from keybearer.factors.record import record
from keybearer.factors.recovery import NewCodes, Recovery
from keybearer.factors.store import NewPasskey
from keybearer.http.principal import not_signed_in
from keybearer.identity.service import Identities
from keybearer.kit.database import Database, Transaction
from keybearer.kit.principal import Principal
from keybearer.ledger.service import Ledger
from keybearer.letters.notices import Notices
from keybearer.mail import templates
from keybearer.tenancy.model import Tenant

_CHALLENGE_BYTES = 32

Credential = Mapping[str, Any]


class Passkeys:
    """A challenge works once, for five minutes, and for the browser whose secret it was made with (rule R5)."""

    def __init__(
        self,
        db: Database,
        identities: Identities,
        recovery: Recovery,
        ledger: Ledger,
        notices: Notices,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._identities = identities
        self._recovery = recovery
        self._ledger = ledger
        self._notices = notices
        self._now = now

    async def registration_options(self, tenant: Tenant, principal: Principal, browser: str) -> dict[str, Any]:
        async with self._db.transaction(tenant.id) as tx:
            if not await self._identities.hold(tx, tenant.id, principal.user_id):
                raise not_signed_in()
            existing = await store.credential_ids(tx, tenant.id, principal.user_id)
            challenge = await self._challenge(tx, tenant, principal.user_id, browser)
        return authenticators.registration_options(
            tenant,
            challenge=challenge,
            user_id=principal.user_id,
            account=principal.email or principal.name,
            name=principal.name,
            existing=existing,
        )

    async def register(
        self, tenant: Tenant, principal: Principal, browser: str | None, credential: Credential, name: str
    ) -> tuple[UUID, NewCodes | None]:
        """The new passkey's id, and recovery codes where the person had none.

        Raises Conflict (`challenge_ended`, `passkey_taken`), BadInput("passkey_invalid").
        """
        try:
            challenge = authenticators.challenge_of(credential)
            await self._use(tenant, challenge, principal.user_id, browser)
            registered = authenticators.check_registration(tenant, credential, challenge)
        except Unusable as error:
            raise errors.passkey_invalid() from error
        user_id, passkey_id = principal.user_id, uuid4()
        new = await self._first_codes(tenant.id, user_id)
        async with self._db.transaction(tenant.id) as tx:
            if not await self._identities.hold(tx, tenant.id, user_id):
                raise not_signed_in()
            passkey = NewPasskey(
                id=passkey_id,
                user_id=user_id,
                name=name,
                credential_id=registered.credential_id,
                public_key=registered.public_key,
                sign_count=registered.sign_count,
                transports=registered.transports,
            )
            if not await store.add_passkey(tx, tenant.id, passkey):
                raise errors.passkey_taken()
            if new is not None:
                await self._recovery.keep(tx, tenant.id, user_id, new)
            await record(tx, self._ledger, tenant.id, user_id, "factor.added", factor="passkey", name=name)
            await self._notices.tell(tx, tenant.id, user_id, partial(templates.factor_added, kind="passkey"))
        return passkey_id, new

    async def sign_in_options(self, tenant: Tenant, browser: str) -> dict[str, Any]:
        async with self._db.transaction(tenant.id) as tx:
            challenge = await self._challenge(tx, tenant, None, browser)
        return authenticators.sign_in_options(tenant, challenge=challenge)

    async def use(self, tenant: Tenant, browser: str | None, credential: Credential) -> UUID:
        """Whose it is. Raises Conflict("challenge_ended"), NotSignedIn("passkey_refused")."""
        try:
            challenge = authenticators.challenge_of(credential)
            credential_id = authenticators.credential_id_of(credential)
            await self._use(tenant, challenge, None, browser)
            async with self._db.transaction(tenant.id) as tx:
                passkey = await store.find_passkey(tx, tenant.id, credential_id)
                if passkey is None:
                    raise errors.passkey_refused()
                sign_count = authenticators.check_sign_in(tenant, credential, challenge, passkey)
                await store.use_passkey(tx, tenant.id, passkey.id, sign_count)
        except Unusable as error:
            raise errors.passkey_refused() from error
        return passkey.user_id

    async def _challenge(self, tx: Transaction, tenant: Tenant, user_id: UUID | None, browser: str) -> bytes:
        challenge = os.urandom(_CHALLENGE_BYTES)
        expires_at = self._now() + CHALLENGE_LIFETIME
        await store.add_challenge(tx, tenant.id, _hash(challenge), user_id, _hash(browser.encode()), expires_at)
        return challenge

    async def _use(self, tenant: Tenant, challenge: bytes, user_id: UUID | None, browser: str | None) -> None:
        """Whatever becomes of the answer, its challenge is gone."""
        if browser is None:
            raise errors.challenge_ended()
        async with self._db.transaction(tenant.id) as tx:
            used = await store.use_challenge(
                tx, tenant.id, _hash(challenge), user_id, _hash(browser.encode()), self._now()
            )
        if not used:
            raise errors.challenge_ended()

    async def _first_codes(self, tenant_id: UUID, user_id: UUID) -> NewCodes | None:
        async with self._db.transaction(tenant_id) as tx:
            left = await store.codes_left(tx, tenant_id, user_id)
        return None if left else await self._recovery.make()


def _hash(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()
