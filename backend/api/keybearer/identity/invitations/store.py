"""Rows of invitations."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select

from keybearer.identity.invitations.model import Invitation
from keybearer.identity.invitations.tables import invitations
from keybearer.kit.database import Transaction


async def add(
    tx: Transaction, tenant_id: UUID, invitation_id: UUID, digest: bytes, email: str, role: str, expires_at: datetime
) -> None:
    await tx.execute(
        insert(invitations).values(
            tenant_id=tenant_id, id=invitation_id, token_hash=digest, email=email, role=role, expires_at=expires_at
        )
    )


async def find(tx: Transaction, tenant_id: UUID, digest: bytes) -> Invitation | None:
    row = (
        await tx.execute(
            select(invitations).where(invitations.c.tenant_id == tenant_id, invitations.c.token_hash == digest)
        )
    ).first()
    return Invitation(row.email, row.role, row.expires_at) if row else None


async def use(tx: Transaction, tenant_id: UUID, digest: bytes, email: str) -> str | None:
    """The role that it gives; None where there is no such one. Of two at once, one gets it."""
    used = await tx.execute(
        delete(invitations)
        .where(invitations.c.tenant_id == tenant_id, invitations.c.token_hash == digest)
        .where(func.lower(invitations.c.email) == email.lower(), invitations.c.expires_at > func.now())
        .returning(invitations.c.role)
    )
    return used.scalar()


async def use_any(tx: Transaction, tenant_id: UUID, email: str) -> str | None:
    """For somebody who proved to own the address. Uses up all that were made for it; the newest says the role."""
    used = await tx.execute(
        delete(invitations)
        .where(invitations.c.tenant_id == tenant_id)
        .where(func.lower(invitations.c.email) == email.lower(), invitations.c.expires_at > func.now())
        .returning(invitations.c.created_at, invitations.c.role)
    )
    newest = max(used, key=lambda row: row.created_at, default=None)
    return newest.role if newest is not None else None


async def remove_for(tx: Transaction, tenant_id: UUID, email: str) -> None:
    """For a new one, which alone shall open the door."""
    await tx.execute(
        delete(invitations).where(
            invitations.c.tenant_id == tenant_id, func.lower(invitations.c.email) == email.lower()
        )
    )


async def remove_expired(tx: Transaction) -> int:
    return (await tx.execute(delete(invitations).where(invitations.c.expires_at < func.now()))).rowcount
