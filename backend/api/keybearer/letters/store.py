"""Rows of links and errands. Every function is given the tenant and filters by it; row-level security does too."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update

from keybearer.kit.database import Transaction
from keybearer.letters.model import CODE_TRIES, Errand, Kind
from keybearer.letters.tables import errands, letters


async def add(
    tx: Transaction,
    tenant_id: UUID,
    user_id: UUID,
    kind: Kind,
    token_hash: bytes,
    code_hash: str | None,
    lifetime: timedelta,
) -> None:
    await tx.execute(
        insert(letters).values(
            tenant_id=tenant_id,
            token_hash=token_hash,
            user_id=user_id,
            kind=kind,
            code_hash=code_hash,
            expires_at=func.now() + lifetime,
        )
    )


async def find(tx: Transaction, tenant_id: UUID, kind: Kind, token_hash: bytes) -> UUID | None:
    """Whose it is, while it lasts."""
    wanted = select(letters.c.user_id).where(
        letters.c.tenant_id == tenant_id,
        letters.c.token_hash == token_hash,
        letters.c.kind == kind,
        letters.c.expires_at > func.now(),
    )
    return (await tx.execute(wanted)).scalar()


async def take(tx: Transaction, tenant_id: UUID, kind: Kind, token_hash: bytes) -> UUID | None:
    """Whose it was. Of two at once, one gets it."""
    used = (
        delete(letters)
        .where(
            letters.c.tenant_id == tenant_id,
            letters.c.token_hash == token_hash,
            letters.c.kind == kind,
            letters.c.expires_at > func.now(),
        )
        .returning(letters.c.user_id)
    )
    return (await tx.execute(used)).scalar()


async def try_code(tx: Transaction, tenant_id: UUID, user_id: UUID) -> tuple[bytes, str] | None:
    """Counts a try before it is looked at, so that many at once are five; the link's hash and the code's."""
    tried = (
        update(letters)
        .where(
            letters.c.tenant_id == tenant_id,
            letters.c.user_id == user_id,
            letters.c.code_hash.is_not(None),
            letters.c.code_tries < CODE_TRIES,
            letters.c.expires_at > func.now(),
        )
        .values(code_tries=letters.c.code_tries + 1)
        .returning(letters.c.token_hash, letters.c.code_hash)
    )
    row = (await tx.execute(tried)).first()
    return (row.token_hash, row.code_hash) if row else None


async def end(tx: Transaction, tenant_id: UUID, user_id: UUID, kind: Kind) -> None:
    await tx.execute(
        delete(letters).where(letters.c.tenant_id == tenant_id, letters.c.user_id == user_id, letters.c.kind == kind)
    )


async def remove_expired(tx: Transaction) -> int:
    return (await tx.execute(delete(letters).where(letters.c.expires_at <= func.now()))).rowcount


async def add_errand(tx: Transaction, tenant_id: UUID, errand_id: UUID, kind: str, sealed: bytes) -> None:
    await tx.execute(insert(errands).values(tenant_id=tenant_id, id=errand_id, kind=kind, sealed=sealed))


async def list_errands(tx: Transaction, limit: int) -> list[Errand]:
    """Those of every tenant that are due, the oldest first."""
    due = select(errands).where(errands.c.due_at <= func.now()).order_by(errands.c.due_at).limit(limit)
    return [Errand(row.tenant_id, row.id, row.kind, row.sealed) for row in await tx.execute(due)]


async def postpone_errand(tx: Transaction, errand_id: UUID) -> None:
    await tx.execute(
        update(errands).where(errands.c.id == errand_id).values(due_at=func.now() + text("interval '30 seconds'"))
    )


async def take_errand(tx: Transaction, tenant_id: UUID, errand_id: UUID) -> bool:
    """False when it was done already."""
    done = await tx.execute(delete(errands).where(errands.c.tenant_id == tenant_id, errands.c.id == errand_id))
    return done.rowcount == 1


async def remove_stale_errands(tx: Transaction) -> int:
    """Whoever asked an hour ago has asked again since, or given up."""
    stale = errands.c.created_at < func.now() - text("interval '1 hour'")
    return (await tx.execute(delete(errands).where(stale))).rowcount
