"""Rows of mails that wait. Address, subject and text are ciphertext."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update

from keybearer.kit.database import Transaction
from keybearer.mail.tables import mails


@dataclass(frozen=True, slots=True)
class Waiting:
    tenant_id: UUID
    id: UUID
    user_id: UUID | None
    kind: str
    sealed: bytes = field(repr=False)
    attempts: int
    created_at: datetime


async def add(
    tx: Transaction, tenant_id: UUID, mail_id: UUID, user_id: UUID | None, kind: str, sealed: bytes, lifetime: timedelta
) -> None:
    await tx.execute(
        insert(mails).values(
            tenant_id=tenant_id,
            id=mail_id,
            user_id=user_id,
            kind=kind,
            sealed=sealed,
            expires_at=func.now() + lifetime,
        )
    )


async def take_due(tx: Transaction, limit: int, claim: timedelta) -> list[Waiting]:
    """The oldest that are due. Nobody else gets them for the time of `claim`."""
    query = (
        select(mails)
        .where(mails.c.due_at <= func.now(), mails.c.expires_at > func.now())
        .order_by(mails.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [_waiting(row) for row in await tx.execute(query)]
    await tx.execute(
        update(mails)
        .where(mails.c.id.in_([each.id for each in found]))
        .values(due_at=func.now() + claim, attempts=mails.c.attempts + 1)
    )
    return found


async def postpone(tx: Transaction, mail_id: UUID, wait: timedelta) -> None:
    await tx.execute(update(mails).where(mails.c.id == mail_id).values(due_at=func.now() + wait))


async def remove(tx: Transaction, mail_id: UUID) -> None:
    await tx.execute(delete(mails).where(mails.c.id == mail_id))


async def remove_expired(tx: Transaction) -> Sequence[str]:
    """Their kinds."""
    removed = await tx.execute(delete(mails).where(mails.c.expires_at <= func.now()).returning(mails.c.kind))
    return removed.scalars().all()


async def count(tx: Transaction) -> tuple[int, float]:
    """How many wait, and the age of the oldest in seconds."""
    age = func.coalesce(func.extract("epoch", func.now() - func.min(mails.c.created_at)), 0)
    row = (await tx.execute(select(func.count(), age).select_from(mails))).one()
    return row[0], float(row[1])


async def erase(tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
    await tx.execute(delete(mails).where(mails.c.tenant_id == tenant_id, mails.c.user_id == user_id))


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(
        tenant_id=row.tenant_id,
        id=row.id,
        user_id=row.user_id,
        kind=row.kind,
        sealed=row.sealed,
        attempts=row.attempts + 1,
        created_at=row.created_at,
    )
