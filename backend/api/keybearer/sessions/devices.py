"""Notices a sign-in from where a person has not been before, and tells them.

A device is a browser family, a system and a block of addresses; nothing is asked of the browser that it does not say
by itself. It is noticed whether or not mail can be sent, so that nobody hears of all their devices later.
"""

from uuid import UUID

from keybearer.kit import addresses
from keybearer.kit.database import Transaction
from keybearer.letters.notices import Notices
from keybearer.mail import templates
from keybearer.sessions import device, store
from keybearer.sessions.model import Session

_IPV4_BLOCK = 24
_IPV6_BLOCK = 48


class Devices:
    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def signed_in(self, tx: Transaction, tenant_id: UUID, session: Session) -> None:
        """Posts a mail where the device is new and not the person's first."""
        others = await store.has_devices(tx, tenant_id, session.user_id)
        new = await store.note_device(tx, tenant_id, session.user_id, session.device, block_of(session.address))
        if not new or not others:
            return
        await self._notices.tell(
            tx,
            tenant_id,
            session.user_id,
            lambda notice: templates.new_device(
                notice,
                device=session.device,
                place=device.place(session.address),
                way=session.provider,
                at=session.created_at,
            ),
        )


def block_of(address: str | None) -> str:
    """The network that a provider gives to one place or a few: a /24, an IPv6 /48."""
    parsed = addresses.parse(address)
    if parsed is None:
        return "unknown"
    return str(addresses.network(parsed, _IPV4_BLOCK if parsed.version == 4 else _IPV6_BLOCK))
