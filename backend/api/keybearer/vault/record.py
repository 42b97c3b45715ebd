"""What the ledger keeps and the person's browser is told when a connection changes."""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from keybearer.events.service import Events
from keybearer.kit.database import Transaction, notify
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger

Outcome = Literal["ok", "denied", "failed", "pending", "unknown"]


class Recorder:
    """Everything goes into the caller's transaction: what is told has happened, and what happened is told."""

    def __init__(self, ledger: Ledger, events: Events) -> None:
        self._ledger = ledger
        self._events = events

    async def by_system(
        self,
        tx: Transaction,
        subject: "Subject",
        action: str,
        *,
        outcome: Outcome = "ok",
        code: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        await self._ledger.record(tx, subject.entry("system", action, outcome, code, detail or {}))

    async def by_person(
        self, tx: Transaction, subject: "Subject", action: str, *, detail: Mapping[str, object] | None = None
    ) -> None:
        await self._ledger.record(tx, subject.entry("person", action, "ok", None, detail or {}))

    async def changed(self, tx: Transaction, subject: "Subject", state: str) -> None:
        """The list of connections looks different now, and what other processes know of this one is old."""
        data = {"id": str(subject.connection_id), "provider": subject.provider, "state": state}
        await self._events.publish(tx, subject.tenant_id, subject.user_id, "connection.changed", data)
        await notify(tx, "connection", subject.connection_id)


class Subject:
    """Whose connection it is that something happened to."""

    __slots__ = ("account_name", "connection_id", "provider", "tenant_id", "user_id")

    def __init__(self, tenant_id: UUID, user_id: UUID, connection_id: UUID, provider: str, account_name: str) -> None:
        self.tenant_id = tenant_id
        self.user_id = user_id
        self.connection_id = connection_id
        self.provider = provider
        self.account_name = account_name

    def entry(
        self,
        actor: Literal["person", "system"],
        action: str,
        outcome: Outcome,
        code: str | None,
        detail: Mapping[str, object],
    ) -> Entry:
        return Entry(
            tenant_id=self.tenant_id,
            action=action,
            outcome=outcome,
            actor_kind=actor,
            user_id=self.user_id,
            connection_id=self.connection_id,
            provider=self.provider,
            code=code,
            detail={"account": self.account_name, **detail},
        )
