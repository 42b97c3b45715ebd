"""Tells people what was done with their accounts, each time with a way to say that it was not them."""

from collections.abc import Callable
from uuid import UUID

from keybearer.identity.service import Identities
from keybearer.kit.database import Transaction
from keybearer.letters.links import Links
from keybearer.mail.model import Message
from keybearer.mail.service import Mail
from keybearer.mail.templates import Notice
from keybearer.tenancy.service import Tenancy


class Notices:
    """Without mail, nobody is told."""

    def __init__(self, identities: Identities, mail: Mail, tenancy: Tenancy, links: Links) -> None:
        self._identities = identities
        self._mail = mail
        self._tenancy = tenancy
        self._links = links

    async def tell(self, tx: Transaction, tenant_id: UUID, user_id: UUID, compose: Callable[[Notice], Message]) -> None:
        """In the transaction of what it tells of. Only at an address that is known to be theirs."""
        if not self._mail.enabled:
            return
        user = await self._identities.find_user(tx, tenant_id, user_id)
        tenant = self._tenancy.find(tenant_id)
        if tenant is None or user is None or not user.email or not user.email_verified:
            return
        token = await self._links.add(tx, tenant_id, user_id, "not_me")
        notice = Notice(tenant.name, f"{tenant.origin}/account", f"{tenant.origin}/not-me#token={token}")
        await self._mail.post(tx, tenant_id, user_id, user.email, compose(notice))
