"""Passwords that are checked from outside: wrong ones are counted, and after five of them none is looked at."""

from uuid import UUID

from keybearer.identity.passwords.model import Stored
from keybearer.identity.passwords.service import Passwords
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import TooMany
from keybearer.lockouts.model import Account, Source
from keybearer.lockouts.service import Lockouts


class GuardedPasswords:
    """Implements `keybearer.factors.step_up.Passwords` too."""

    def __init__(self, db: Database, passwords: Passwords, lockouts: Lockouts) -> None:
        self._db = db
        self._passwords = passwords
        self._lockouts = lockouts

    async def has(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
        stored = await self._passwords.find(tx, tenant_id, user_id)
        return stored is not None and not stored.void

    async def verify(self, tenant_id: UUID, user_id: UUID, password: str, source: Source) -> bool:
        async with self._db.transaction(tenant_id) as tx:
            stored = await self._passwords.find(tx, tenant_id, user_id)
        right = await self.check(Account.of_user(tenant_id, user_id), password, stored, source)
        return right and stored is not None and not stored.void

    async def check(self, account: Account, password: str, stored: Stored | None, source: Source) -> bool:
        """Raises TooMany (`account_locked`, `busy`)."""
        attempt = await self._lockouts.check(account, "password", source)
        try:
            right = await self._passwords.verify(password, stored)
        except TooMany:
            # Nobody looked at it, so it was no guess.
            await self._lockouts.withdraw(attempt)
            raise
        await (self._lockouts.succeeded(attempt) if right else self._lockouts.failed(attempt))
        return right
