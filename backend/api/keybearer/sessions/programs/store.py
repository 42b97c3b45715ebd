"""Rows of refresh tokens. Every function is given the tenant and filters by it; row-level security does too."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from keybearer.kit.database import Transaction
from keybearer.sessions.programs.model import REPLAY, Family, Presented
from keybearer.sessions.programs.tables import families, refresh_tokens
from keybearer.sessions.tables import sessions


async def add_family(tx: Transaction, tenant_id: UUID, family: Family) -> None:
    await tx.execute(
        insert(families).values(
            tenant_id=tenant_id,
            id=family.id,
            user_id=family.user_id,
            session_id=family.session_id,
            expires_at=family.expires_at,
        )
    )


async def add(tx: Transaction, tenant_id: UUID, digest: bytes, family_id: UUID, expires_at: datetime) -> None:
    await tx.execute(
        insert(refresh_tokens).values(
            tenant_id=tenant_id, token_hash=digest, family_id=family_id, expires_at=expires_at
        )
    )


async def hold_family(tx: Transaction, tenant_id: UUID, digest: bytes) -> Family | None:
    """The token's family, while its session is there; until the transaction's end nobody else uses or ends it.

    The session's row is what is locked, because whoever ends a session begins there too.
    """
    family = await find_family(tx, tenant_id, digest)
    if family is None:
        return None
    session = select(sessions.c.id).where(sessions.c.tenant_id == tenant_id, sessions.c.id == family.session_id)
    held = (await tx.execute(session.with_for_update(key_share=True))).first()
    return family if held is not None else None


async def find(tx: Transaction, tenant_id: UUID, digest: bytes) -> Presented | None:
    """As it is now; ask once its family is held."""
    row = (
        await tx.execute(
            select(refresh_tokens, func.clock_timestamp().label("now")).where(
                refresh_tokens.c.tenant_id == tenant_id, refresh_tokens.c.token_hash == digest
            )
        )
    ).first()
    return Presented(row.now, row.expires_at, row.used_at, row.replay) if row else None


async def find_family(tx: Transaction, tenant_id: UUID, digest: bytes) -> Family | None:
    """Without holding it, for whoever only looks."""
    row = (
        await tx.execute(
            select(families)
            .join(
                refresh_tokens,
                (refresh_tokens.c.tenant_id == families.c.tenant_id) & (refresh_tokens.c.family_id == families.c.id),
            )
            .where(families.c.tenant_id == tenant_id, refresh_tokens.c.token_hash == digest)
        )
    ).first()
    return Family(row.id, row.user_id, row.session_id, row.expires_at) if row else None


async def use(tx: Transaction, tenant_id: UUID, digest: bytes, at: datetime, replay: bytes) -> None:
    await tx.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.tenant_id == tenant_id, refresh_tokens.c.token_hash == digest)
        .values(used_at=at, replay=replay)
    )


async def remove_expired(tx: Transaction) -> int:
    """Families that are over with their tokens, and answers that nobody may ask for again."""
    await tx.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.replay.is_not(None), refresh_tokens.c.used_at < func.now() - REPLAY)
        .values(replay=None)
    )
    return (await tx.execute(delete(families).where(families.c.expires_at < func.now()))).rowcount
