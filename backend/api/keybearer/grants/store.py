"""Rows of grants. Every function is given the tenant and filters by it; row-level security does too."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, text, tuple_, update

from keybearer.grants.model import Grant
from keybearer.grants.tables import grant_connections, grants
from keybearer.kit.database import Transaction

_LIVE = (grants.c.revoked_at.is_(None), grants.c.expires_at > func.now())
_USED = text(
    """
    UPDATE grants SET last_used_at = seen.at
      FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]))
           AS seen (tenant, id, at)
     WHERE tenant_id = seen.tenant AND grants.id = seen.id AND (last_used_at IS NULL OR last_used_at < seen.at)
    """
)
_REMOVE_ENDED = text(
    """
    DELETE FROM grants g USING (
      SELECT tenant_id, id FROM grants
       WHERE least(revoked_at, expires_at) < now() - make_interval(days => :days) LIMIT :limit
    ) AS ended WHERE g.tenant_id = ended.tenant_id AND g.id = ended.id
    """
)


async def add(tx: Transaction, grant: Grant) -> None:
    await tx.execute(
        insert(grants).values(
            tenant_id=grant.tenant_id,
            id=grant.id,
            user_id=grant.user_id,
            agent=grant.agent,
            scopes=list(grant.scopes) if grant.scopes is not None else None,
            reason=grant.reason,
            created_at=grant.created_at,
            expires_at=grant.expires_at,
        )
    )
    await tx.execute(
        insert(grant_connections),
        [
            {"tenant_id": grant.tenant_id, "grant_id": grant.id, "connection_id": connection_id}
            for connection_id in grant.connections
        ],
    )


async def list_live(tx: Transaction, tenant_id: UUID, user_id: UUID, *, after: UUID | None, limit: int) -> list[Grant]:
    """Newest first, `after` excluded."""
    query = (
        select(grants)
        .where(grants.c.tenant_id == tenant_id, grants.c.user_id == user_id, *_LIVE)
        .order_by(grants.c.created_at.desc(), grants.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        place = select(grants.c.created_at, grants.c.id).where(
            grants.c.tenant_id == tenant_id, grants.c.user_id == user_id, grants.c.id == after
        )
        query = query.where(tuple_(grants.c.created_at, grants.c.id) < place.scalar_subquery())
    rows = (await tx.execute(query)).all()
    held = await _connections_of(tx, tenant_id, [row.id for row in rows])
    return [_record(row, held.get(row.id, ())) for row in rows]


async def end(tx: Transaction, tenant_id: UUID, user_id: UUID, ids: Collection[UUID] | None) -> list[Grant]:
    """Ends the live ones of these, or all of the person's; answers which."""
    query = update(grants).where(grants.c.tenant_id == tenant_id, grants.c.user_id == user_id, *_LIVE)
    if ids is not None:
        query = query.where(grants.c.id.in_(ids))
    rows = (await tx.execute(query.values(revoked_at=func.now()).returning(grants))).all()
    return [_record(row, ()) for row in rows]


async def lock_live_with(tx: Transaction, tenant_id: UUID, connection_id: UUID) -> list[Grant]:
    """Live grants that hold this connection, with all that each one holds."""
    rows = (
        await tx.execute(
            select(grants)
            .join(
                grant_connections,
                (grant_connections.c.tenant_id == grants.c.tenant_id) & (grant_connections.c.grant_id == grants.c.id),
            )
            .where(grants.c.tenant_id == tenant_id, grant_connections.c.connection_id == connection_id, *_LIVE)
            .order_by(grants.c.id)
            .with_for_update(of=grants)
        )
    ).all()
    held = await _connections_of(tx, tenant_id, [row.id for row in rows])
    return [_record(row, held.get(row.id, ())) for row in rows]


async def take_out(tx: Transaction, tenant_id: UUID, connection_id: UUID) -> None:
    await tx.execute(
        delete(grant_connections).where(
            grant_connections.c.tenant_id == tenant_id, grant_connections.c.connection_id == connection_id
        )
    )


async def agents(tx: Transaction, tenant_id: UUID, user_id: UUID) -> dict[UUID, list[str]]:
    """Names of agents with a live grant, by connection."""
    rows = await tx.execute(
        select(grant_connections.c.connection_id, func.array_agg(grants.c.agent.distinct()).label("agents"))
        .join(
            grants,
            (grant_connections.c.tenant_id == grants.c.tenant_id) & (grant_connections.c.grant_id == grants.c.id),
        )
        .where(grants.c.tenant_id == tenant_id, grants.c.user_id == user_id, *_LIVE)
        .group_by(grant_connections.c.connection_id)
    )
    return {row.connection_id: sorted(row.agents) for row in rows}


async def used(tx: Transaction, times: Mapping[tuple[UUID, UUID], datetime]) -> None:
    """By (tenant, grant); never moves a time back."""
    await tx.execute(
        _USED,
        {
            "tenants": [tenant for tenant, _ in times],
            "ids": [grant for _, grant in times],
            "times": list(times.values()),
        },
    )


async def end_everybodys(tx: Transaction) -> int:
    """Across tenants; how many there were."""
    live = update(grants).where(*_LIVE)
    return (await tx.execute(live.values(revoked_at=func.now()))).rowcount


async def remove_ended(tx: Transaction, days: int, limit: int) -> int:
    """Across tenants: grants that ended that long ago, `limit` at most; what they held goes with them."""
    return (await tx.execute(_REMOVE_ENDED, {"days": days, "limit": limit})).rowcount


async def erase(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[UUID]:
    rows = await tx.execute(
        delete(grants).where(grants.c.tenant_id == tenant_id, grants.c.user_id == user_id).returning(grants.c.id)
    )
    return list(rows.scalars())


async def _connections_of(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    if not ids:
        return {}
    rows = await tx.execute(
        select(grant_connections.c.grant_id, func.array_agg(grant_connections.c.connection_id).label("held"))
        .where(grant_connections.c.tenant_id == tenant_id, grant_connections.c.grant_id.in_(ids))
        .group_by(grant_connections.c.grant_id)
    )
    return {row.grant_id: tuple(row.held) for row in rows}


def _record(row: Row[tuple[object, ...]], connections: tuple[UUID, ...]) -> Grant:
    return Grant(
        id=row.id,
        tenant_id=row.tenant_id,
        user_id=row.user_id,
        agent=row.agent,
        connections=connections,
        scopes=tuple(row.scopes) if row.scopes is not None else None,
        reason=row.reason,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
