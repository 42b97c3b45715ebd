"""Signs people in by passkey, and lets them show once more that it is them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from keybearer.factors import errors
from keybearer.factors.model import Shown, Way
from keybearer.factors.passkeys import Credential, Passkeys
from keybearer.factors.service import Factors
from keybearer.factors.step_up import Passwords, StepUp
from keybearer.identity.errors import user_disabled
from keybearer.identity.model import User
from keybearer.identity.service import Identities
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError
from keybearer.kit.principal import Principal
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.lockouts.model import Source
from keybearer.lockouts.service import Lockouts
from keybearer.sessions.model import Proof
from keybearer.sessions.service import Sessions
from keybearer.signin import metrics
from keybearer.tenancy.model import Tenant

_PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Visit:
    """What a request says of where it comes from. `principal` is whoever the browser was signed in as."""

    browser: str | None = field(repr=False)
    source: Source
    user_agent: str
    principal: Principal | None


class LocalSignIn:
    def __init__(
        self,
        db: Database,
        identities: Identities,
        sessions: Sessions,
        factors: Factors,
        passkeys: Passkeys,
        step_up: StepUp,
        passwords: Passwords,
        lockouts: Lockouts,
        ledger: Ledger,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._identities = identities
        self._sessions = sessions
        self._factors = factors
        self._passkeys = passkeys
        self._step_up = step_up
        self._passwords = passwords
        self._lockouts = lockouts
        self._ledger = ledger
        self._now = now

    async def passkey_options(self, tenant: Tenant, browser: str) -> dict[str, Any]:
        return await self._passkeys.sign_in_options(tenant, browser)

    async def with_passkey(self, tenant: Tenant, visit: Visit, credential: Credential) -> tuple[User, str]:
        """The person and the session's token. A passkey is two factors in one, so no other is asked for.

        Raises Conflict("challenge_ended"), NotSignedIn("passkey_refused"), Forbidden("user_disabled").
        """
        try:
            user_id = await self._passkeys.use(tenant, visit.browser, credential)
            async with self._db.transaction(tenant.id) as tx:
                user = await self._here(tx, tenant, user_id)
                token = await self._open(tx, tenant, user, visit)
        except KeybearerError as error:
            metrics.ATTEMPTS.labels(_PASSKEY, error.code).inc()
            await self._record_failure(tenant, error.code)
            raise
        metrics.ATTEMPTS.labels(_PASSKEY, "ok").inc()
        return user, token

    async def step_up_with_code(self, principal: Principal, shown: Shown, source: Source) -> str:
        """The session's new token. Raises Forbidden("factor_wrong"), TooMany("account_locked")."""
        right = await self._factors.verify(principal.tenant_id, principal.user_id, shown, source)
        return await self._step_up_if(right, principal, shown.way, source)

    async def step_up_with_password(self, principal: Principal, password: str, source: Source) -> str:
        """The same."""
        right = await self._passwords.verify(principal.tenant_id, principal.user_id, password, source)
        return await self._step_up_if(right, principal, "password", source)

    async def step_up_with_passkey(
        self, tenant: Tenant, principal: Principal, browser: str | None, credential: Credential, source: Source
    ) -> str:
        """The same, and Conflict("challenge_ended")."""
        whose = await self._whose(tenant, browser, credential)
        return await self._step_up_if(whose == principal.user_id, principal, "passkey", source)

    async def _step_up_if(self, right: bool, principal: Principal, way: Way, source: Source) -> str:
        if not right:
            await self._step_up.refused(principal, way)
            raise errors.factor_wrong()
        return await self._step_up.prove(principal, way, source)

    async def _whose(self, tenant: Tenant, browser: str | None, credential: Credential) -> UUID | None:
        """A passkey that is refused says nothing of the session, which goes on."""
        try:
            return await self._passkeys.use(tenant, browser, credential)
        except KeybearerError as error:
            if error.code != errors.passkey_refused().code:
                raise
            return None

    async def _here(self, tx: Transaction, tenant: Tenant, user_id: UUID) -> User:
        if not await self._identities.hold(tx, tenant.id, user_id):
            raise errors.passkey_refused()
        user = await self._identities.find_user(tx, tenant.id, user_id)
        assert user is not None, "held"
        if user.disabled:
            raise user_disabled()
        return user

    async def _open(self, tx: Transaction, tenant: Tenant, user: User, visit: Visit) -> str:
        # A sign-in never keeps the token that the browser came with.
        if visit.principal is not None:
            await self._sessions.replace(tx, visit.principal)
        proof = Proof(by=_PASSKEY, at=self._now())
        token = await self._sessions.open(tx, tenant.id, user.id, _PASSKEY, visit.user_agent, proof)
        await self._lockouts.remember(tx, tenant.id, user.id, visit.source)
        await self._ledger.record(
            tx, Entry(tenant_id=tenant.id, action="sign_in", actor_kind="person", user_id=user.id, provider=_PASSKEY)
        )
        return token

    async def _record_failure(self, tenant: Tenant, code: str) -> None:
        entry = Entry(
            tenant_id=tenant.id,
            action="sign_in.failed",
            outcome="failed",
            actor_kind="person",
            provider=_PASSKEY,
            code=code,
        )
        async with self._db.transaction(tenant.id) as tx:
            await self._ledger.record(tx, entry)
