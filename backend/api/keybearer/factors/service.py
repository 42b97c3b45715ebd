"""Which factors a person has, and whether what somebody shows is one of them."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from keybearer.factors import errors, metrics, store
from keybearer.factors.model import Factor, Shown, Way
from keybearer.factors.record import record
from keybearer.factors.recovery import Recovery
from keybearer.factors.totp import Totp
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import TooMany
from keybearer.kit.principal import Principal
from keybearer.ledger.service import Ledger
from keybearer.letters.notices import Notices
from keybearer.lockouts.model import Account, Attempt, Source
from keybearer.lockouts.service import Lockouts
from keybearer.mail import templates


class Factors:
    def __init__(
        self, db: Database, totp: Totp, recovery: Recovery, lockouts: Lockouts, ledger: Ledger, notices: Notices
    ) -> None:
        self._db = db
        self._totp = totp
        self._recovery = recovery
        self._lockouts = lockouts
        self._ledger = ledger
        self._notices = notices

    async def factors_of(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> tuple[Way, ...]:
        """What a second factor can be shown with; empty where there is none, and nothing is to be asked for.

        Recovery codes alone are none: they stand in for what was lost.
        """
        kinds = {factor.kind for factor in await store.list_of(tx, tenant_id, user_id)}
        if not kinds:
            return ()
        left = await store.codes_left(tx, tenant_id, user_id)
        possible: Sequence[tuple[Way, bool]] = (
            ("totp", "totp" in kinds),
            ("passkey", "passkey" in kinds),
            ("recovery_code", left > 0),
        )
        return tuple(way for way, there in possible if there)

    async def verify(self, account: Account, shown: Shown, source: Source) -> bool:
        """Whether the code is right; it cannot be used again. Raises TooMany (`account_locked`, `busy`)."""
        attempt = await self._attempt(account, shown, source)
        ways = {"totp": self._totp.use, "recovery_code": self._recovery.use}
        try:
            right = await ways[shown.way](account.tenant_id, account.user_id, shown.code)
        except TooMany:
            await self._lockouts.withdraw(attempt)
            raise
        if not right:
            await self._lockouts.failed(attempt)
            return False
        await self._lockouts.succeeded(attempt)
        return True

    async def list_own(self, principal: Principal) -> tuple[list[Factor], int]:
        """And how many recovery codes are left."""
        async with self._db.transaction(principal.tenant_id) as tx:
            found = await store.list_of(tx, principal.tenant_id, principal.user_id)
            return found, await store.codes_left(tx, principal.tenant_id, principal.user_id)

    async def remove(self, principal: Principal, factor_id: UUID) -> None:
        """Recovery codes go with the last factor. Raises NotFound("factor_not_found")."""
        tenant_id, user_id = principal.tenant_id, principal.user_id
        async with self._db.transaction(tenant_id) as tx:
            kind = await store.remove(tx, tenant_id, user_id, factor_id)
            if kind is None:
                raise errors.factor_not_found()
            if not await store.list_of(tx, tenant_id, user_id):
                await store.replace_codes(tx, tenant_id, user_id, ())
            await record(tx, self._ledger, tenant_id, user_id, "factor.removed", factor=kind)
            await self._notices.tell(tx, tenant_id, user_id, partial(templates.factor_removed, kind=kind))

    async def renew_codes(self, principal: Principal) -> list[str]:
        """Raises Conflict("factor_missing")."""
        tenant_id, user_id = principal.tenant_id, principal.user_id
        async with self._db.transaction(tenant_id) as tx:
            if not await store.list_of(tx, tenant_id, user_id):
                raise errors.factor_missing()
        new = await self._recovery.make()
        async with self._db.transaction(tenant_id) as tx:
            if not await store.list_of(tx, tenant_id, user_id):
                raise errors.factor_missing()
            await self._recovery.keep(tx, tenant_id, user_id, new)
            await record(tx, self._ledger, tenant_id, user_id, "factor.recovery_codes_renewed")
        return new.texts

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        await store.erase(tx, tenant_id, user_id)

    async def _attempt(self, account: Account, shown: Shown, source: Source) -> Attempt:
        try:
            return await self._lockouts.check(account, shown.way, source)
        except TooMany:
            if shown.way == "totp":
                metrics.TOTP_ATTEMPTS.labels("locked").inc()
            raise
