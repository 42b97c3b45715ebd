"""Rows of wrong guesses and known sources."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from keybearer.kit.database import Transaction
from keybearer.lockouts.model import Account, Method, Tally
from keybearer.lockouts.tables import known_sources, lockouts

# A person who does not exist is looked up like one who does.
_NOBODY = UUID(int=0)


async def take(tx: Transaction, account: Account, method: Method, bucket: bytes, now: datetime) -> Tally:
    """The tally, locked until the transaction's end, so that guesses at once are counted one after the other."""
    empty = insert(lockouts).values(
        tenant_id=account.tenant_id,
        account=account.digest,
        method=method,
        source=bucket,
        user_id=account.user_id,
        failures=0,
        locks=0,
        failed_at=now,
    )
    await tx.execute(empty.on_conflict_do_nothing())
    wanted = select(lockouts).where(_is(account, method, bucket)).with_for_update()
    row = (await tx.execute(wanted)).one()
    return Tally(row.failures, row.locks, row.failed_at, row.locked_until)


async def save(tx: Transaction, account: Account, method: Method, bucket: bytes, tally: Tally) -> None:
    await tx.execute(
        lockouts.update()
        .where(_is(account, method, bucket))
        .values(failures=tally.failures, locks=tally.locks, failed_at=tally.failed_at, locked_until=tally.locked_until)
    )


async def forget(tx: Transaction, account: Account, method: Method, bucket: bytes) -> None:
    await tx.execute(delete(lockouts).where(_is(account, method, bucket)))


async def forget_all(tx: Transaction, account: Account, method: Method) -> None:
    """In every bucket."""
    await tx.execute(
        delete(lockouts).where(
            lockouts.c.tenant_id == account.tenant_id,
            lockouts.c.account == account.digest,
            lockouts.c.method == method,
        )
    )


async def known_of(tx: Transaction, account: Account, digests: Sequence[bytes]) -> set[bytes]:
    """Those of the sources that the person came in from before."""
    found = await tx.execute(
        select(known_sources.c.source).where(
            known_sources.c.tenant_id == account.tenant_id,
            known_sources.c.user_id == (account.user_id or _NOBODY),
            known_sources.c.source.in_(digests),
        )
    )
    return set(found.scalars())


async def remember(tx: Transaction, account: Account, digests: Sequence[bytes]) -> None:
    rows = [{"tenant_id": account.tenant_id, "user_id": account.user_id, "source": each} for each in sorted(digests)]
    known = insert(known_sources).values(rows)
    await tx.execute(
        known.on_conflict_do_update(
            index_elements=["tenant_id", "user_id", "source"], set_={"last_used_at": func.now()}
        )
    )


async def erase(tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
    for table in (lockouts, known_sources):
        await tx.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.user_id == user_id))


async def remove_old(tx: Transaction) -> int:
    """Guesses that count no more, and browsers and addresses that were not used for half a year."""
    guesses = func.greatest(lockouts.c.failed_at, lockouts.c.locked_until) < func.now() - text("interval '24 hours'")
    sources = known_sources.c.last_used_at < func.now() - text("interval '180 days'")
    removed = (await tx.execute(delete(lockouts).where(guesses))).rowcount
    return removed + (await tx.execute(delete(known_sources).where(sources))).rowcount


def _is(account: Account, method: Method, bucket: bytes) -> ColumnElement[bool]:
    return and_(
        lockouts.c.tenant_id == account.tenant_id,
        lockouts.c.account == account.digest,
        lockouts.c.method == method,
        lockouts.c.source == bucket,
    )
