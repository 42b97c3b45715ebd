"""Rows of API keys. Every function is given the tenant and filters by it; row-level security does too."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, text, tuple_

from keybearer.kit.database import Transaction
from keybearer.sessions.api_keys.model import ApiKey
from keybearer.sessions.api_keys.tables import api_keys

_USED = text(
    """
    UPDATE api_keys SET last_used_at = used.at
      FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[])) AS used (id, at)
     WHERE api_keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)
    """
)


async def add(tx: Transaction, tenant_id: UUID, key: ApiKey) -> None:
    await tx.execute(
        insert(api_keys).values(
            tenant_id=tenant_id,
            id=key.id,
            user_id=key.user_id,
            name=key.name,
            scopes=list(key.scopes) if key.scopes is not None else None,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


async def count(tx: Transaction, tenant_id: UUID, user_id: UUID) -> int:
    mine = select(func.count()).where(api_keys.c.tenant_id == tenant_id, api_keys.c.user_id == user_id)
    return int((await tx.execute(mine.where(api_keys.c.expires_at > func.now()))).scalar_one())


async def list_of(tx: Transaction, tenant_id: UUID, user_id: UUID, *, after: UUID | None, limit: int) -> list[ApiKey]:
    """Newest first, `after` excluded."""
    query = (
        select(api_keys)
        .where(api_keys.c.tenant_id == tenant_id, api_keys.c.user_id == user_id, api_keys.c.expires_at > func.now())
        .order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        place = select(api_keys.c.created_at, api_keys.c.id).where(
            api_keys.c.tenant_id == tenant_id, api_keys.c.user_id == user_id, api_keys.c.id == after
        )
        query = query.where(tuple_(api_keys.c.created_at, api_keys.c.id) < place.scalar_subquery())
    return [_key(row) for row in await tx.execute(query)]


async def remove(tx: Transaction, tenant_id: UUID, user_id: UUID, key_id: UUID) -> str | None:
    """The name of the key that is gone; None where it was not the person's."""
    removed = await tx.execute(
        delete(api_keys)
        .where(api_keys.c.tenant_id == tenant_id, api_keys.c.user_id == user_id, api_keys.c.id == key_id)
        .returning(api_keys.c.name)
    )
    return removed.scalar()


async def erase(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[UUID]:
    removed = await tx.execute(
        delete(api_keys)
        .where(api_keys.c.tenant_id == tenant_id, api_keys.c.user_id == user_id)
        .returning(api_keys.c.id)
    )
    return list(removed.scalars())


async def remove_expired(tx: Transaction) -> int:
    return (await tx.execute(delete(api_keys).where(api_keys.c.expires_at < func.now()))).rowcount


async def used(tx: Transaction, uses: dict[UUID, datetime]) -> None:
    await tx.execute(_USED, {"ids": list(uses), "ats": list(uses.values())})


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        scopes=tuple(row.scopes) if row.scopes is not None else None,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
