"""Issues and ends bearer secrets of any kind; what ends is told to every process at commit."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from keybearer.kit import tokens
from keybearer.kit.database import Transaction, notify
from keybearer.sessions import store


async def add(tx: Transaction, kind: str, token: str, tenant_id: UUID, subject_id: UUID, expires_at: datetime) -> None:
    await store.add_bearer(tx, kind, tokens.digest(token), tenant_id, subject_id, expires_at)


async def remove(tx: Transaction, tenant_id: UUID, kind: str, subject_ids: Sequence[UUID]) -> None:
    for digest in await store.remove_bearers(tx, tenant_id, kind, subject_ids):
        await notify(tx, "token", digest.hex())
