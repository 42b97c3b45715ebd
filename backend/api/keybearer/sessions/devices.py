"""Notices a sign-in from where a person has not been before, and tells them.

A device is a browser family, a system and a block of addresses; nothing is asked of the browser that it does not say
by itself. It is noticed whether or not mail can be sent, so that nobody hears of all their devices later.
"""

from uuid import UUID

from keybearer.identity.service import Identities
from keybearer.kit import addresses
from keybearer.kit.database import Transaction
from keybearer.mail import templates
from keybearer.mail.service import Mail
from keybearer.sessions import device, store
from keybearer.sessions.model import Session
from keybearer.tenancy.service import Tenancy

_IPV4_BLOCK = 24
_IPV6_BLOCK = 48


class Devices:
    def __init__(self, identities: Identities, mail: Mail, tenancy: Tenancy) -> None:
        self._identities = identities
        self._mail = mail
        self._tenancy = tenancy

    async def signed_in(self, tx: Transaction, tenant_id: UUID, session: Session) -> None:
        """Posts a mail where the device is new and not the person's first."""
        others = await store.has_devices(tx, tenant_id, session.user_id)
        new = await store.note_device(tx, tenant_id, session.user_id, session.device, block_of(session.address))
        if new and others and self._mail.enabled:
            await self._tell(tx, tenant_id, session)

    async def _tell(self, tx: Transaction, tenant_id: UUID, session: Session) -> None:
        """Only at an address that is known to be theirs."""
        user = await self._identities.find_user(tx, tenant_id, session.user_id)
        tenant = self._tenancy.find(tenant_id)
        if tenant is None or user is None or not user.email or not user.email_verified:
            return
        message = templates.new_device(
            installation=tenant.name,
            device=session.device,
            place=device.place(session.address),
            way=session.provider,
            at=session.created_at,
            origin=tenant.origin,
        )
        await self._mail.post(tx, tenant_id, user.id, user.email, message)


def block_of(address: str | None) -> str:
    """The network that a provider gives to one place or a few: a /24, an IPv6 /48."""
    parsed = addresses.parse(address)
    if parsed is None:
        return "unknown"
    return str(addresses.network(parsed, _IPV4_BLOCK if parsed.version == 4 else _IPV6_BLOCK))
