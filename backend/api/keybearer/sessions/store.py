"""Rows of sessions, bearer secrets and devices."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Row, delete, exists, func, insert, select, text, update
from sqlalchemy.dialects import postgresql

from keybearer.kit.database import Database, Transaction
from keybearer.sessions.model import Claims, Proof, Resolved, Session
from keybearer.sessions.tables import bearers, devices, sessions

_SEEN = text(
    """
    UPDATE sessions SET last_seen_at = used.at
      FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[])) AS used (id, at)
     WHERE sessions.id = used.id AND sessions.last_seen_at < used.at
    """
)


async def resolve(db: Database, digest: bytes) -> Resolved | None:
    rows = await db.read("bearer_resolve", digest)
    return _resolved(digest, rows[0]) if rows else None


async def resolve_session(db: Database, digest: bytes, claims: Claims) -> Resolved | None:
    """An access token outlives neither itself nor its session."""
    rows = await db.read("session_resolve", claims.tenant_id, claims.session_id)
    if not rows or rows[0]["user_id"] != claims.user_id:
        return None
    found = _resolved(digest, rows[0])
    return replace(found, expires_at=min(found.expires_at, claims.expires_at))


async def add_bearer(
    tx: Transaction, kind: str, digest: bytes, tenant_id: UUID, subject_id: UUID, expires_at: datetime
) -> None:
    await tx.execute(
        insert(bearers).values(
            token_hash=digest, kind=kind, tenant_id=tenant_id, subject_id=subject_id, expires_at=expires_at
        )
    )


async def remove_bearers(tx: Transaction, tenant_id: UUID, kind: str, subject_ids: Sequence[UUID]) -> list[bytes]:
    """The hashes of the removed secrets."""
    removed = await tx.execute(
        delete(bearers)
        .where(bearers.c.tenant_id == tenant_id, bearers.c.kind == kind, bearers.c.subject_id.in_(subject_ids))
        .returning(bearers.c.token_hash)
    )
    return list(removed.scalars())


async def remove_expired_bearers(tx: Transaction) -> int:
    return (await tx.execute(delete(bearers).where(bearers.c.expires_at < func.now()))).rowcount


async def add(tx: Transaction, tenant_id: UUID, session: Session, proof: Proof | None) -> None:
    await tx.execute(
        insert(sessions).values(
            tenant_id=tenant_id,
            id=session.id,
            user_id=session.user_id,
            provider=session.provider,
            device=session.device,
            address=session.address,
            created_at=session.created_at,
            authenticated_at=session.created_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            proved_at=proof.at if proof else None,
            proved_by=proof.by if proof else None,
        )
    )


async def prove(tx: Transaction, tenant_id: UUID, session_id: UUID, proof: Proof) -> datetime | None:
    """When the session ends; None when it has."""
    proved = await tx.execute(
        update(sessions)
        .where(sessions.c.tenant_id == tenant_id, sessions.c.id == session_id)
        .values(proved_at=proof.at, proved_by=proof.by)
        .returning(sessions.c.expires_at)
    )
    expires_at: datetime | None = proved.scalar()
    return expires_at


async def find_proof(tx: Transaction, tenant_id: UUID, session_id: UUID) -> Proof | None:
    wanted = select(sessions.c.proved_by, sessions.c.proved_at).where(
        sessions.c.tenant_id == tenant_id, sessions.c.id == session_id, sessions.c.proved_at.is_not(None)
    )
    row = (await tx.execute(wanted)).first()
    return Proof(by=row.proved_by, at=row.proved_at) if row else None


async def list_of(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[Session]:
    rows = await tx.execute(
        select(sessions)
        .where(sessions.c.tenant_id == tenant_id, sessions.c.user_id == user_id, sessions.c.expires_at > func.now())
        .order_by(sessions.c.last_seen_at.desc())
    )
    return [_session(row) for row in rows]


async def remove(tx: Transaction, tenant_id: UUID, user_id: UUID, ids: Iterable[UUID]) -> list[UUID]:
    """The ids that were there and belonged to the person."""
    removed = await tx.execute(
        delete(sessions)
        .where(sessions.c.tenant_id == tenant_id, sessions.c.user_id == user_id, sessions.c.id.in_(list(ids)))
        .returning(sessions.c.id)
    )
    return list(removed.scalars())


async def erase(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[UUID]:
    """All of a person's, expired ones too: the person cannot go while a row names them."""
    removed = await tx.execute(
        delete(sessions)
        .where(sessions.c.tenant_id == tenant_id, sessions.c.user_id == user_id)
        .returning(sessions.c.id)
    )
    return list(removed.scalars())


async def remove_expired(tx: Transaction) -> int:
    return (await tx.execute(delete(sessions).where(sessions.c.expires_at < func.now()))).rowcount


async def count_active(tx: Transaction) -> int:
    return (
        await tx.execute(select(func.count()).select_from(sessions).where(sessions.c.expires_at > func.now()))
    ).scalar_one()


async def has_devices(tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
    known = exists().where(devices.c.tenant_id == tenant_id, devices.c.user_id == user_id)
    return bool((await tx.execute(select(known))).scalar_one())


async def note_device(tx: Transaction, tenant_id: UUID, user_id: UUID, device: str, block: str) -> bool:
    """Whether the person was never seen there before. Of two at once, one is the first."""
    key = {"tenant_id": tenant_id, "user_id": user_id, "device": device, "block": block}
    seen_again = await tx.execute(update(devices).filter_by(**key).values(last_seen_at=func.now()))
    if seen_again.rowcount:
        return False
    added = await tx.execute(postgresql.insert(devices).values(**key).on_conflict_do_nothing())
    return added.rowcount == 1


async def erase_devices(tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
    await tx.execute(delete(devices).where(devices.c.tenant_id == tenant_id, devices.c.user_id == user_id))


async def remove_unused_devices(tx: Transaction) -> int:
    """Those of over a year ago: whoever comes back there is told again."""
    unused = devices.c.last_seen_at < func.now() - text("interval '400 days'")
    return (await tx.execute(delete(devices).where(unused))).rowcount


async def seen(tx: Transaction, uses: dict[UUID, datetime]) -> None:
    await tx.execute(_SEEN, {"ids": list(uses), "ats": list(uses.values())})


async def seen_now(tx: Transaction, tenant_id: UUID, session_id: UUID) -> None:
    await tx.execute(
        update(sessions)
        .where(sessions.c.tenant_id == tenant_id, sessions.c.id == session_id)
        .values(last_seen_at=func.now())
    )


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        user_id=row.user_id,
        provider=row.provider,
        device=row.device,
        address=row.address,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
    )


def _resolved(digest: bytes, row: asyncpg.Record) -> Resolved:
    connections = json.loads(row["connections"] or "[]")
    return Resolved(
        kind=row["kind"],
        digest=digest,
        tenant_id=row["tenant_id"],
        tenant_name=row["tenant_name"],
        subject_id=row["subject_id"],
        user_id=row["user_id"],
        expires_at=row["expires_at"],
        disabled=row["disabled"],
        email=row["email"],
        name=row["name"],
        avatar_url=row["avatar_url"],
        role=row["role"],
        authenticated_at=row["authenticated_at"],
        last_seen_at=row["last_seen_at"],
        agent=row["agent"],
        scopes=tuple(row["scopes"]) if row["scopes"] is not None else None,
        connections=tuple((UUID(each["id"]), each["provider"]) for each in connections),
    )
