"""Sets, verifies and replaces passwords of local accounts."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from keybearer.identity.passwords import errors, policy, store
from keybearer.identity.passwords.hashing import Hashing
from keybearer.identity.passwords.model import Stored
from keybearer.identity.passwords.policy import Policy, Strength
from keybearer.kit.database import Transaction


class Passwords:
    """Nothing that hashes is given a transaction: a connection is too dear to wait for Argon2."""

    def __init__(
        self,
        hashing: Hashing,
        rules: Policy,
        *,
        strength: Strength | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hashing = hashing
        self._rules = rules
        self._strength = strength or Strength()
        self._now = now

    async def find(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> Stored | None:
        return await store.find(tx, tenant_id, user_id)

    async def hold(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> Stored | None:
        """The same, and nobody changes it until the transaction's end."""
        return await store.find(tx, tenant_id, user_id, hold=True)

    async def find_owner(self, tx: Transaction, tenant_id: UUID, email: str) -> UUID | None:
        return await store.find_owner(tx, tenant_id, email)

    async def verify(self, password: str, stored: Stored | None) -> bool:
        """Takes as long for an account that is not there. Raises TooMany("busy")."""
        return await self._hashing.verify(policy.normal(password), stored.hash if stored else None)

    def is_expired(self, stored: Stored) -> bool:
        age = self._rules.maximum_age
        return age is not None and self._now() - stored.changed_at > age

    async def hash_new(
        self, password: str, *, words: Sequence[str], has_factor: bool = False, before: Stored | None = None
    ) -> str:
        """The hash of a password that the rules allow.

        Raises BadInput("password_refused") with its reasons, TooMany("busy").
        """
        chosen = policy.normal(password)
        reasons = self._rules.formal_reasons(chosen, has_factor=has_factor)
        if "too_long" not in reasons:
            reasons += await self._hashing.run(self._strength.reasons, chosen, words, has_factor)
        if not reasons and before is not None and await self._was_used(chosen, before):
            reasons.append("reused")
        if reasons:
            raise errors.refused(reasons, self._rules.least(has_factor=has_factor))
        return await self._hashing.hash(chosen)

    async def upgraded(self, password: str, stored: Stored) -> str | None:
        """A hash by today's parameters, where the stored one is by others. `password` was verified."""
        if not self._hashing.is_outdated(stored.hash):
            return None
        return await self._hashing.hash(policy.normal(password))

    async def set(self, tx: Transaction, tenant_id: UUID, user_id: UUID, encoded: str) -> None:
        before = await store.find(tx, tenant_id, user_id)
        kept = [before.hash, *before.previous][: self._rules.history] if before else []
        await store.set_hash(tx, tenant_id, user_id, encoded, kept)

    def is_outdated(self, encoded: str) -> bool:
        """Whether the next sign-in would replace it."""
        return self._hashing.is_outdated(encoded)

    def is_usable(self, encoded: str) -> bool:
        return self._hashing.is_usable(encoded)

    async def bring(self, tx: Transaction, tenant_id: UUID, user_id: UUID, encoded: str) -> None:
        """A hash that another system made. The first sign-in replaces it."""
        await store.set_hash(tx, tenant_id, user_id, encoded, [])

    async def export(self, tx: Transaction, tenant_id: UUID) -> dict[UUID, str]:
        """Everybody's hash."""
        return await store.all_hashes(tx, tenant_id)

    async def void(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
        """It lets nobody in any more, until another one is set. False where there is none."""
        return await store.void(tx, tenant_id, user_id)

    async def replace_hash(self, tx: Transaction, tenant_id: UUID, user_id: UUID, stored: Stored, encoded: str) -> None:
        await store.replace_hash(tx, tenant_id, user_id, stored.hash, encoded)

    async def _was_used(self, password: str, before: Stored) -> bool:
        """The present one counts always: a change that changes nothing is none."""
        for encoded in (before.hash, *before.previous[: self._rules.history]):
            if await self._hashing.verify(password, encoded):
                return True
        return False
