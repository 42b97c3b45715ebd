"""Writes a mail down in the transaction of what it tells of, so that one is there if and only if the other is."""

import json
from uuid import UUID, uuid4

from keybearer.keys.envelope import Owner, Place
from keybearer.keys.service import Keys
from keybearer.kit.database import Transaction
from keybearer.mail import store
from keybearer.mail.model import Letter, Message


class Mail:
    """`enabled` says whether there is a server that takes mail. Without one nothing is written down."""

    def __init__(self, keys: Keys, *, enabled: bool) -> None:
        self._keys = keys
        self.enabled = enabled

    async def post(self, tx: Transaction, tenant_id: UUID, user_id: UUID | None, to: str, message: Message) -> None:
        """Sent within a second or two of the commit, and tried again until its lifetime is over.

        Sealed under the person's key, and under the tenant's where there is no person yet.
        """
        if not self.enabled:
            return
        mail_id = uuid4()
        plain = json.dumps({"to": to, "subject": message.subject, "text": message.text}).encode()
        _, sealed = await self._keys.seal(tx, _owner(tenant_id, user_id), _place(mail_id), plain)
        await store.add(tx, tenant_id, mail_id, user_id, message.kind, sealed, message.lifetime)

    async def open(self, tx: Transaction, waiting: store.Waiting) -> Letter:
        """Raises EnvelopeError for one that cannot be read any more."""
        owner = _owner(waiting.tenant_id, waiting.user_id)
        opened = json.loads(await self._keys.open(tx, owner, _place(waiting.id), waiting.sealed))
        return Letter(
            tenant_id=waiting.tenant_id,
            id=waiting.id,
            kind=waiting.kind,
            to=opened["to"],
            subject=opened["subject"],
            text=opened["text"],
            attempts=waiting.attempts,
            created_at=waiting.created_at,
        )

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        await store.erase(tx, tenant_id, user_id)


def _owner(tenant_id: UUID, user_id: UUID | None) -> Owner:
    return Owner.tenant(tenant_id) if user_id is None else Owner.user(tenant_id, user_id)


def _place(mail_id: UUID) -> Place:
    return Place("mails", str(mail_id), "sealed")
