"""Rows of people and identities. Every function is given the tenant and filters by it; row-level security does too."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, text, update

from keybearer.identity.model import Identity, Presented, User
from keybearer.identity.tables import identities, users
from keybearer.kit.database import Transaction


async def lock_identity(tx: Transaction, tenant_id: UUID, issuer: str, subject: str) -> None:
    """Two first sign-ins of one identity at once take turns, so that one account is made."""
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"{tenant_id}|{issuer}|{subject}"}
    )


async def find_user_by_identity(tx: Transaction, tenant_id: UUID, issuer: str, subject: str) -> User | None:
    """Held like `hold_user`."""
    row = (
        await tx.execute(
            select(users)
            .join(identities, (identities.c.tenant_id == users.c.tenant_id) & (identities.c.user_id == users.c.id))
            .where(identities.c.tenant_id == tenant_id)
            .where(identities.c.issuer == issuer, identities.c.subject == subject)
            .with_for_update(read=True, key_share=True, of=users)
        )
    ).first()
    return _user(row) if row else None


async def hold_user(tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
    """Until the transaction's end nobody can erase the person. False when somebody did."""
    person = select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    return (await tx.execute(person.with_for_update(read=True, key_share=True))).first() is not None


async def claim_user(tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
    """Waits for whoever holds the person, and lets nobody hold them any more. False when they are gone."""
    person = select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    return (await tx.execute(person.with_for_update())).first() is not None


async def find_verified_email(tx: Transaction, tenant_id: UUID, email: str) -> User | None:
    row = (
        await tx.execute(
            select(users)
            .where(users.c.tenant_id == tenant_id, users.c.email_verified)
            .where(func.lower(users.c.email) == email.lower())
            .limit(1)
        )
    ).first()
    return _user(row) if row else None


async def find_user(tx: Transaction, tenant_id: UUID, user_id: UUID) -> User | None:
    row = (await tx.execute(select(users).where(users.c.tenant_id == tenant_id, users.c.id == user_id))).first()
    return _user(row) if row else None


async def find_users_by_email(tx: Transaction, tenant_id: UUID, email: str) -> list[User]:
    rows = await tx.execute(
        select(users).where(users.c.tenant_id == tenant_id, func.lower(users.c.email) == email.lower())
    )
    return [_user(row) for row in rows]


async def list_users(tx: Transaction, tenant_id: UUID, limit: int) -> list[User]:
    rows = await tx.execute(
        select(users).where(users.c.tenant_id == tenant_id).order_by(users.c.created_at).limit(limit)
    )
    return [_user(row) for row in rows]


async def names_of(tx: Transaction, tenant_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, str]:
    rows = await tx.execute(
        select(users.c.id, users.c.name).where(users.c.tenant_id == tenant_id, users.c.id.in_(user_ids))
    )
    return {row.id: row.name for row in rows}


async def add_user(tx: Transaction, user: User) -> None:
    await tx.execute(
        insert(users).values(
            tenant_id=user.tenant_id,
            id=user.id,
            email=user.email,
            email_verified=user.email_verified,
            name=user.name,
            avatar_url=user.avatar_url,
            role=user.role,
        )
    )


async def set_disabled(tx: Transaction, tenant_id: UUID, user_id: UUID, *, disabled: bool) -> None:
    """Since when stays as it was."""
    since = func.coalesce(users.c.disabled_at, func.now()) if disabled else None
    await tx.execute(
        update(users).where(users.c.tenant_id == tenant_id, users.c.id == user_id).values(disabled_at=since)
    )


async def set_role(tx: Transaction, tenant_id: UUID, user_id: UUID, role: str) -> None:
    await tx.execute(update(users).where(users.c.tenant_id == tenant_id, users.c.id == user_id).values(role=role))


async def other_admins(tx: Transaction, tenant_id: UUID, user_id: UUID) -> int:
    """How many there are who are not disabled. They stay so until the transaction's end."""
    found = await tx.execute(
        select(users.c.id)
        .where(users.c.tenant_id == tenant_id, users.c.id != user_id)
        .where(users.c.role == "admin", users.c.disabled_at.is_(None))
        .with_for_update()
    )
    return len(found.all())


async def update_profile(tx: Transaction, user: User) -> None:
    await tx.execute(
        update(users)
        .where(users.c.tenant_id == user.tenant_id, users.c.id == user.id)
        .values(email=user.email, email_verified=user.email_verified, name=user.name, avatar_url=user.avatar_url)
    )


async def add_identity(
    tx: Transaction, tenant_id: UUID, identity_id: UUID, user_id: UUID, presented: Presented
) -> None:
    await tx.execute(
        insert(identities).values(
            tenant_id=tenant_id,
            id=identity_id,
            user_id=user_id,
            provider=presented.provider,
            issuer=presented.issuer,
            subject=presented.subject,
            email=presented.email,
        )
    )


async def signed_in(tx: Transaction, tenant_id: UUID, presented: Presented) -> None:
    await tx.execute(
        update(identities)
        .where(identities.c.tenant_id == tenant_id)
        .where(identities.c.issuer == presented.issuer, identities.c.subject == presented.subject)
        .values(last_sign_in_at=func.now(), email=presented.email)
    )


async def list_identities(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[Identity]:
    rows = await tx.execute(
        select(identities)
        .where(identities.c.tenant_id == tenant_id, identities.c.user_id == user_id)
        .order_by(identities.c.created_at)
    )
    return [_identity(row) for row in rows]


async def remove_identity(tx: Transaction, tenant_id: UUID, identity_id: UUID) -> None:
    await tx.execute(delete(identities).where(identities.c.tenant_id == tenant_id, identities.c.id == identity_id))


async def remove_user(tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
    await tx.execute(delete(identities).where(identities.c.tenant_id == tenant_id, identities.c.user_id == user_id))
    await tx.execute(delete(users).where(users.c.tenant_id == tenant_id, users.c.id == user_id))


def _user(row: Row[Any]) -> User:
    return User(
        tenant_id=row.tenant_id,
        id=row.id,
        email=row.email,
        email_verified=row.email_verified,
        name=row.name,
        avatar_url=row.avatar_url,
        role=row.role,
        disabled=row.disabled_at is not None,
    )


def _identity(row: Row[Any]) -> Identity:
    return Identity(
        id=row.id,
        user_id=row.user_id,
        provider=row.provider,
        issuer=row.issuer,
        subject=row.subject,
        email=row.email,
        created_at=row.created_at,
        last_sign_in_at=row.last_sign_in_at,
    )
