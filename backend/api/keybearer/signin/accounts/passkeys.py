"""Signs people in by passkey alone, which is two factors in one."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from keybearer.factors import errors
from keybearer.factors.passkeys import Credential, Passkeys
from keybearer.identity.errors import user_disabled
from keybearer.identity.model import User
from keybearer.identity.service import Identities
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.limits.service import SignInLimits
from keybearer.sessions.model import Proof
from keybearer.signin import metrics
from keybearer.signin.entrance import Client, Entered, Entrance
from keybearer.tenancy.model import Tenant

_METHOD = "passkey"


class PasskeySignIn:
    def __init__(
        self,
        db: Database,
        identities: Identities,
        passkeys: Passkeys,
        entrance: Entrance,
        ledger: Ledger,
        limits: SignInLimits,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._identities = identities
        self._passkeys = passkeys
        self._entrance = entrance
        self._ledger = ledger
        self._limits = limits
        self._now = now

    async def options(self, tenant: Tenant, browser: str) -> dict[str, Any]:
        """Raises TooMany("rate_limited")."""
        await self._limits.check_address("passkey_options")
        return await self._passkeys.sign_in_options(tenant, browser)

    async def sign_in(self, tenant: Tenant, credential: Credential, client: Client) -> Entered:
        """Raises Conflict("challenge_ended"), NotSignedIn("passkey_refused"), Forbidden("user_disabled"),
        TooMany("rate_limited").
        """
        await self._limits.check_address("passkey")
        try:
            user_id = await self._passkeys.use(tenant, client.flow, credential)
            async with self._db.transaction(tenant.id) as tx:
                user = await self._here(tx, tenant, user_id)
                proof = Proof(by=_METHOD, at=self._now())
                entered = await self._entrance.let_in(
                    tx, tenant, user, client, _METHOD, proof=proof, account=user.email
                )
        except KeybearerError as error:
            metrics.ATTEMPTS.labels(_METHOD, error.code).inc()
            await self._record_failure(tenant, error.code)
            raise
        metrics.ATTEMPTS.labels(_METHOD, "ok").inc()
        return await self._entrance.with_room(tenant, entered)

    async def _here(self, tx: Transaction, tenant: Tenant, user_id: UUID) -> User:
        if not await self._identities.hold(tx, tenant.id, user_id):
            raise errors.passkey_refused()
        user = await self._identities.find_user(tx, tenant.id, user_id)
        assert user is not None, "held"
        if user.disabled:
            raise user_disabled()
        return user

    async def _record_failure(self, tenant: Tenant, code: str) -> None:
        entry = Entry(
            tenant_id=tenant.id,
            action="sign_in.failed",
            outcome="failed",
            actor_kind="person",
            provider=_METHOD,
            code=code,
        )
        async with self._db.transaction(tenant.id) as tx:
            await self._ledger.record(tx, entry)
