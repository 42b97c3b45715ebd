"""Rows of passwords. Every function is given the tenant and filters by it; row-level security does too."""

from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql

from keybearer.identity.passwords.model import Stored
from keybearer.identity.passwords.tables import passwords
from keybearer.identity.tables import users
from keybearer.kit.database import Transaction


async def find(tx: Transaction, tenant_id: UUID, user_id: UUID, *, hold: bool = False) -> Stored | None:
    """With `hold`, it stays as it is until the transaction's end."""
    query = select(passwords).where(passwords.c.tenant_id == tenant_id, passwords.c.user_id == user_id)
    row = (await tx.execute(query.with_for_update() if hold else query)).first()
    return Stored(row.hash, tuple(row.previous), row.changed_at, row.voided_at is not None) if row else None


async def find_owner(tx: Transaction, tenant_id: UUID, email: str) -> UUID | None:
    """The person who signs in with that address and a password."""
    owner = await tx.execute(
        select(users.c.id)
        .join(passwords, (passwords.c.tenant_id == users.c.tenant_id) & (passwords.c.user_id == users.c.id))
        .where(users.c.tenant_id == tenant_id, func.lower(users.c.email) == email.lower())
        .limit(1)
    )
    return owner.scalar()


async def all_hashes(tx: Transaction, tenant_id: UUID) -> dict[UUID, str]:
    rows = await tx.execute(select(passwords.c.user_id, passwords.c.hash).where(passwords.c.tenant_id == tenant_id))
    return {row.user_id: row.hash for row in rows}


async def set_hash(tx: Transaction, tenant_id: UUID, user_id: UUID, encoded: str, previous: list[str]) -> None:
    """`previous` replaces what was kept."""
    row = {"hash": encoded, "previous": previous, "changed_at": func.now(), "voided_at": None}
    await tx.execute(
        postgresql.insert(passwords)
        .values(tenant_id=tenant_id, user_id=user_id, **row)
        .on_conflict_do_update(index_elements=["tenant_id", "user_id"], set_=row)
    )


async def replace_hash(tx: Transaction, tenant_id: UUID, user_id: UUID, old: str, new: str) -> None:
    """The same password, hashed anew; nothing where it was changed meanwhile."""
    await tx.execute(
        update(passwords)
        .where(passwords.c.tenant_id == tenant_id, passwords.c.user_id == user_id, passwords.c.hash == old)
        .values(hash=new)
    )


async def void(tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
    """False where there is none."""
    voided = await tx.execute(
        update(passwords)
        .where(passwords.c.tenant_id == tenant_id, passwords.c.user_id == user_id)
        .values(voided_at=func.coalesce(passwords.c.voided_at, func.now()))
    )
    return voided.rowcount == 1
