"""What the ledger keeps of factors."""

from uuid import UUID

from keybearer.kit.database import Transaction
from keybearer.ledger.model import Entry, Outcome
from keybearer.ledger.service import Ledger


async def record(
    tx: Transaction,
    ledger: Ledger,
    tenant_id: UUID,
    user_id: UUID,
    action: str,
    *,
    outcome: Outcome = "ok",
    code: str | None = None,
    **detail: object,
) -> None:
    entry = Entry(
        tenant_id=tenant_id,
        action=action,
        outcome=outcome,
        actor_kind="person",
        user_id=user_id,
        code=code,
        detail=detail,
    )
    await ledger.record(tx, entry)
