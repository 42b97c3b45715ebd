"""A new password for whoever forgot theirs and still reads their mail."""

from uuid import UUID

from keybearer.identity import address
from keybearer.identity.model import User
from keybearer.identity.passwords.service import Passwords
from keybearer.identity.service import Identities
from keybearer.kit.database import Database, Transaction
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.letters.errands import Errands
from keybearer.letters.errors import letter_ended, mail_off
from keybearer.letters.links import Links
from keybearer.letters.notices import Notices
from keybearer.limits.service import SignInLimits
from keybearer.lockouts.service import Lockouts
from keybearer.mail import templates
from keybearer.sessions.service import Sessions
from keybearer.signin.accounts.factors import SecondFactors
from keybearer.signin.accounts.model import words_of
from keybearer.tenancy.model import Tenant


class Resetting:
    def __init__(
        self,
        db: Database,
        identities: Identities,
        passwords: Passwords,
        links: Links,
        errands: Errands,
        notices: Notices,
        sessions: Sessions,
        lockouts: Lockouts,
        factors: SecondFactors,
        ledger: Ledger,
        limits: SignInLimits,
    ) -> None:
        self._db = db
        self._identities = identities
        self._passwords = passwords
        self._links = links
        self._errands = errands
        self._notices = notices
        self._sessions = sessions
        self._lockouts = lockouts
        self._factors = factors
        self._ledger = ledger
        self._limits = limits

    async def ask(self, tenant: Tenant, email: str) -> None:
        """The same for an address that nobody has.

        Raises Conflict("mail_off"), BadInput("email_invalid"), TooMany("rate_limited").
        """
        if not self._errands.enabled:
            raise mail_off()
        await self._limits.check_address("forgotten")
        wanted = address.checked(email)
        await self._limits.check_mail(tenant.id, wanted)
        async with self._db.transaction(tenant.id) as tx:
            await self._errands.ask(tx, tenant.id, "forgotten", email=wanted)

    async def reset(self, tenant: Tenant, token: str, new: str) -> None:
        """Ends every session and leaves second factors as they are; nobody is signed in by it.

        A password that is refused leaves the link as it was. Raises Conflict (`letter_ended`, `link_required`),
        BadInput("password_refused"), TooMany (`rate_limited`, `busy`).
        """
        await self._limits.check_address("reset")
        async with self._db.transaction(tenant.id) as tx:
            user = await self._whose(tx, tenant, await self._links.find(tx, tenant.id, "reset", token))
            before = await self._passwords.find(tx, tenant.id, user.id)
            factors = await self._factors.enrolled(tx, tenant.id, user.id)
        words = words_of(user.email or "", user.name)
        encoded = await self._passwords.hash_new(new, words=words, has_factor=bool(factors), before=before)
        async with self._db.transaction(tenant.id) as tx:
            user = await self._whose(tx, tenant, await self._links.take(tx, tenant.id, "reset", token))
            await self._set(tx, tenant, user, encoded)

    async def _set(self, tx: Transaction, tenant: Tenant, user: User, encoded: str) -> None:
        """Their mail reached them, which proves the address too."""
        await self._identities.prove_address(tx, user)
        await self._links.end(tx, tenant.id, user.id, "confirm")
        await self._passwords.set(tx, tenant.id, user.id, encoded)
        ended = await self._sessions.end_all(tx, tenant.id, user.id)
        await self._lockouts.forgive(tx, tenant.id, user.id, "password")
        await self._notices.tell(tx, tenant.id, user.id, templates.password_changed)
        entry = Entry(tenant_id=tenant.id, action="password.reset", user_id=user.id, detail={"sessions": ended})
        await self._ledger.record(tx, entry)

    async def _whose(self, tx: Transaction, tenant: Tenant, user_id: UUID | None) -> User:
        if user_id is None or not await self._identities.hold(tx, tenant.id, user_id):
            raise letter_ended()
        user = await self._identities.find_user(tx, tenant.id, user_id)
        if user is None or user.disabled:
            raise letter_ended()
        return user
