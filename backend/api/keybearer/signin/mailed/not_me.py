"""Somebody says that what a notice told of was not them: whoever it was is out, and stays out."""

from keybearer.identity.passwords.service import Passwords
from keybearer.identity.service import Identities
from keybearer.kit.database import Database
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.letters.errors import letter_ended
from keybearer.letters.links import Links
from keybearer.limits.service import SignInLimits
from keybearer.sessions.service import Sessions
from keybearer.tenancy.model import Tenant


class NotMe:
    def __init__(
        self,
        db: Database,
        identities: Identities,
        passwords: Passwords,
        links: Links,
        sessions: Sessions,
        ledger: Ledger,
        limits: SignInLimits,
    ) -> None:
        self._db = db
        self._identities = identities
        self._passwords = passwords
        self._links = links
        self._sessions = sessions
        self._ledger = ledger
        self._limits = limits

    async def report(self, tenant: Tenant, token: str) -> bool:
        """Ends every session. Whether there is a password, which lets nobody in until another one is chosen.

        The links of other notices end too, or an old one would end what the person begins from here on. Raises
        Conflict("letter_ended"), TooMany("rate_limited").
        """
        await self._limits.check_address("not_me")
        async with self._db.transaction(tenant.id) as tx:
            user_id = await self._links.take(tx, tenant.id, "not_me", token)
            if user_id is None or not await self._identities.hold(tx, tenant.id, user_id):
                raise letter_ended()
            await self._links.end(tx, tenant.id, user_id, "not_me")
            ended = await self._sessions.end_all(tx, tenant.id, user_id)
            voided = await self._passwords.void(tx, tenant.id, user_id)
            entry = Entry(
                tenant_id=tenant.id,
                action="sessions.ended_not_me",
                user_id=user_id,
                detail={"sessions": ended, "password": voided},
            )
            await self._ledger.record(tx, entry)
        return voided
