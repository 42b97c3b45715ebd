"""Counts guesses, and refuses those of whoever guessed wrong too often.

    attempt = await lockouts.check(account, "totp", source)   # raises TooMany("account_locked")
    if right: await lockouts.succeeded(attempt)
    else:     await lockouts.failed(attempt)

A guess is counted before it is looked at and given back when it was right. So a thousand guesses at once are five, and
a process that dies in between has counted.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from keybearer.kit.database import Database, Transaction
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.lockouts import errors, metrics, model, store
from keybearer.lockouts.model import RULES, STRANGERS, Account, Attempt, Method, Source

# Told of each lock, of nobody's account too: it must take as long for one that does not exist.
OnLock = Callable[[Transaction, Account, Method], Awaitable[None]]


class Lockouts:
    """Each method is a transaction of its own, because a guess counts whatever becomes of the request."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        on_lock: OnLock,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._on_lock = on_lock
        self._now = now

    async def check(self, account: Account, method: Method, source: Source) -> Attempt:
        """Raises TooMany("account_locked")."""
        now = self._now()
        async with self._db.transaction(account.tenant_id) as tx:
            bucket = await self.bucket(tx, account, source)
            tally = await store.take(tx, account, method, bucket, now)
            left = model.locked_for(tally, now)
            if left is not None:
                raise errors.account_locked(left)
            after = model.counted(RULES[method], tally, now)
            await store.save(tx, account, method, bucket, after)
        return Attempt(account, method, bucket, locks=after.locked_until is not None)

    async def failed(self, attempt: Attempt) -> None:
        """It was wrong; that it counts is written down already."""
        if not attempt.locks:
            return
        metrics.LOCKOUTS.inc()
        async with self._db.transaction(attempt.account.tenant_id) as tx:
            await self._ledger.record(
                tx,
                Entry(
                    tenant_id=attempt.account.tenant_id,
                    action="account.locked",
                    outcome="denied",
                    actor_kind="system",
                    user_id=attempt.account.user_id,
                    code="account_locked",
                    detail={"method": attempt.method},
                ),
            )
            await self._on_lock(tx, attempt.account, attempt.method)

    async def succeeded(self, attempt: Attempt) -> None:
        """It was right: the guesses before it are forgotten."""
        async with self._db.transaction(attempt.account.tenant_id) as tx:
            await store.forget(tx, attempt.account, attempt.method, attempt.bucket)

    async def withdraw(self, attempt: Attempt) -> None:
        """Nobody looked at it."""
        async with self._db.transaction(attempt.account.tenant_id) as tx:
            tally = await store.take(tx, attempt.account, attempt.method, attempt.bucket, self._now())
            await store.save(tx, attempt.account, attempt.method, attempt.bucket, model.taken_back(attempt, tally))

    async def remember(self, tx: Transaction, tenant_id: UUID, user_id: UUID, source: Source) -> None:
        """The person came in, and all the way: from here on, this browser and address have buckets of their own."""
        account = Account.of_user(tenant_id, user_id)
        await store.remember(tx, account, source.digests(account))

    async def forgive(self, tx: Transaction, tenant_id: UUID, user_id: UUID, method: Method) -> None:
        """The person has another secret of that kind: guesses at the old one count no more, from wherever they came."""
        await store.forget_all(tx, Account.of_user(tenant_id, user_id), method)

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        await store.erase(tx, tenant_id, user_id)

    async def bucket(self, tx: Transaction, account: Account, source: Source) -> bytes:
        """What guesses are counted in: the browser's or the address's own where it is known, else all strangers'."""
        digests = source.digests(account)
        known = await store.known_of(tx, account, digests)
        return next((each for each in digests if each in known), STRANGERS)
