"""SQL of the outbox."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, text

from keybearer.events.model import Arrived, Event, Position
from keybearer.events.tables import outbox
from keybearer.kit.database import Transaction
from keybearer.kit.tables import XID8

# One statement, so that both are of the same snapshot: whatever is below `horizon` and not here never will be.
_ARRIVED = text(
    """
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon, o.id, o.xid, o.name, o.data
      FROM (VALUES (1)) AS always (present)
      LEFT JOIN (
        SELECT id, xid, name, data FROM outbox
         WHERE tenant_id = :tenant AND user_id = :person AND xid >= :floor
           AND id <> ALL (CAST(:delivered AS bigint[]))
         ORDER BY id LIMIT :limit
      ) AS o ON true
     ORDER BY o.id
    """
).bindparams(bindparam("floor", type_=XID8))
_HORIZON = text("SELECT pg_snapshot_xmin(pg_current_snapshot())")


async def add(tx: Transaction, tenant_id: UUID, user_id: UUID, name: str, data: Mapping[str, object]) -> None:
    await tx.execute(insert(outbox).values(tenant_id=tenant_id, user_id=user_id, name=name, data=dict(data)))


async def read(tx: Transaction, tenant_id: UUID, user_id: UUID, position: Position, limit: int) -> Arrived:
    """What the position has not delivered, at most `limit`."""
    wanted = {
        "tenant": tenant_id,
        "person": user_id,
        "floor": position.floor,
        "delivered": position.delivered_ids,
        "limit": limit,
    }
    rows = (await tx.execute(_ARRIVED, wanted)).all()
    events = tuple(Event(id=row.id, xid=row.xid, name=row.name, data=row.data) for row in rows if row.id is not None)
    return Arrived(horizon=rows[0].horizon, events=events, complete=len(events) < limit)


async def horizon(tx: Transaction) -> int:
    """Below it, every transaction has ended."""
    lowest: int = (await tx.execute(_HORIZON)).scalar_one()
    return lowest


async def erase(tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
    await tx.execute(delete(outbox).where(outbox.c.tenant_id == tenant_id, outbox.c.user_id == user_id))


async def remove_older(tx: Transaction, seconds: float) -> int:
    limit = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    return (await tx.execute(delete(outbox).where(outbox.c.created_at < limit))).rowcount
