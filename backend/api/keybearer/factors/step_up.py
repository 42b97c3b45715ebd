"""Whether whoever uses a session showed lately that it is them, and how they can show it now.

A fresh sign-in at a provider is such a proof for one thing alone: adding the first factor. Otherwise whoever stole a
session could add a factor of their own and be believed from then on.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from keybearer.factors import errors, model
from keybearer.factors.model import Way
from keybearer.factors.record import record
from keybearer.factors.service import Factors
from keybearer.kit.database import Database, Transaction
from keybearer.kit.principal import Principal
from keybearer.ledger.service import Ledger
from keybearer.lockouts.model import Source
from keybearer.lockouts.service import Lockouts
from keybearer.sessions.service import Sessions

PROVIDER = "provider"


class Passwords(Protocol):
    """What accounts with passwords offer; `verify` counts and refuses guesses itself."""

    async def has(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool: ...
    async def verify(self, tenant_id: UUID, user_id: UUID, password: str, source: Source) -> bool: ...


class StepUp:
    def __init__(
        self,
        db: Database,
        sessions: Sessions,
        factors: Factors,
        passwords: Passwords,
        lockouts: Lockouts,
        ledger: Ledger,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._factors = factors
        self._passwords = passwords
        self._lockouts = lockouts
        self._ledger = ledger
        self._now = now

    async def require(self, principal: Principal) -> None:
        """A factor of the last 15 minutes. Raises ReauthenticationNeeded, which says what to do."""
        async with self._db.transaction(principal.tenant_id) as tx:
            if await self._is_proved(tx, principal):
                return
            ways = await self.ways(tx, principal)
        raise errors.reauthenticate("reauthenticate" if ways else "enrol", ways)

    async def require_where_possible(self, principal: Principal) -> None:
        """The same, but of nobody who has nothing to show."""
        async with self._db.transaction(principal.tenant_id) as tx:
            ways = await self.ways(tx, principal)
            if not ways or await self._is_proved(tx, principal):
                return
        raise errors.reauthenticate("reauthenticate", ways)

    async def require_to_enrol(self, principal: Principal) -> None:
        """Before a factor is added or taken away. With the first one, a fresh sign-in at the provider does too."""
        async with self._db.transaction(principal.tenant_id) as tx:
            if await self._is_proved(tx, principal):
                return
            ways = await self.ways(tx, principal)
            if not ways and await self._is_proved(tx, principal, provider=True):
                return
        raise errors.reauthenticate("reauthenticate" if ways else "sign_in", ways)

    async def ways(self, tx: Transaction, principal: Principal) -> tuple[Way, ...]:
        tenant_id, user_id = principal.tenant_id, principal.user_id
        second = await self._factors.factors_of(tx, tenant_id, user_id)
        return ("password", *second) if await self._passwords.has(tx, tenant_id, user_id) else second

    async def has_password(self, principal: Principal) -> bool:
        async with self._db.transaction(principal.tenant_id) as tx:
            return await self._passwords.has(tx, principal.tenant_id, principal.user_id)

    async def prove(self, principal: Principal, by: Way, source: Source) -> str:
        """The session goes on as proved, under the token that is answered."""
        async with self._db.transaction(principal.tenant_id) as tx:
            token = await self.proved(tx, principal, by)
            await self._lockouts.remember(tx, principal.tenant_id, principal.user_id, source)
        return token

    async def proved(self, tx: Transaction, principal: Principal, by: Way) -> str:
        token = await self._sessions.prove(tx, principal, by)
        await record(tx, self._ledger, principal.tenant_id, principal.user_id, "session.reauthenticated", by=by)
        return token

    async def refused(self, principal: Principal, by: Way) -> None:
        async with self._db.transaction(principal.tenant_id) as tx:
            await record(
                tx,
                self._ledger,
                principal.tenant_id,
                principal.user_id,
                "session.reauthentication_failed",
                outcome="failed",
                code="factor_wrong",
                by=by,
            )

    async def _is_proved(self, tx: Transaction, principal: Principal, *, provider: bool = False) -> bool:
        proof = await self._sessions.find_proof(tx, principal)
        return proof is not None and (proof.by == PROVIDER) == provider and model.is_fresh(proof.at, self._now())
