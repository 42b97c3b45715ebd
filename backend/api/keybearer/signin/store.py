"""Rows of flows."""

from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update

from keybearer.kit.database import Transaction
from keybearer.signin.model import Flow
from keybearer.signin.tables import flows


async def add(tx: Transaction, tenant_id: UUID, flow: Flow, state_hash: bytes) -> None:
    await tx.execute(
        insert(flows).values(
            tenant_id=tenant_id,
            id=flow.id,
            state_hash=state_hash,
            browser_hash=flow.browser_hash,
            kind=flow.kind,
            provider=flow.provider,
            user_id=flow.user_id,
            session_id=flow.session_id,
            connection_id=flow.connection_id,
            scopes=list(flow.scopes),
            return_to=flow.return_to,
            redirect_uri=flow.redirect_uri,
            secrets=flow.sealed_secrets,
            expires_at=flow.expires_at,
        )
    )


async def find(tx: Transaction, tenant_id: UUID, state_hash: bytes) -> Flow | None:
    row = (
        await tx.execute(select(flows).where(flows.c.tenant_id == tenant_id, flows.c.state_hash == state_hash))
    ).first()
    if row is None:
        return None
    return Flow(
        id=row.id,
        kind=row.kind,
        provider=row.provider,
        user_id=row.user_id,
        session_id=row.session_id,
        connection_id=row.connection_id,
        scopes=tuple(row.scopes),
        return_to=row.return_to,
        redirect_uri=row.redirect_uri,
        browser_hash=row.browser_hash,
        expires_at=row.expires_at,
        used=row.used_at is not None,
        sealed_secrets=row.secrets,
    )


async def use(tx: Transaction, tenant_id: UUID, flow_id: UUID) -> bool:
    """False when somebody used the flow before: of two callbacks, one wins."""
    used = await tx.execute(
        update(flows)
        .where(flows.c.tenant_id == tenant_id, flows.c.id == flow_id, flows.c.used_at.is_(None))
        .values(used_at=func.now())
    )
    return used.rowcount == 1


async def remove_stale(tx: Transaction) -> int:
    """Kept for an hour after their end, so that a late or repeated callback is told what happened."""
    stale = flows.c.expires_at < func.now() - text("interval '1 hour'")
    return (await tx.execute(delete(flows).where(stale))).rowcount
