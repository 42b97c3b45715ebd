"""Does what was asked for with an address, and tells whoever owns it by mail.

Nobody waits for it, so it may do different things, and take its time, where there is an account and where there is
none. See `keybearer.letters.errands`.
"""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from keybearer.identity.model import User
from keybearer.identity.passwords.service import Passwords
from keybearer.identity.service import Identities
from keybearer.kit.database import Transaction
from keybearer.kit.errors import Conflict
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.letters.background import Finishing, Handler
from keybearer.letters.errands import Errands
from keybearer.letters.links import Links
from keybearer.letters.model import Code
from keybearer.letters.notices import Notices
from keybearer.lockouts.model import Account, Method
from keybearer.mail import templates
from keybearer.mail.service import Mail
from keybearer.tenancy.model import Tenant


class Answering:
    def __init__(
        self,
        identities: Identities,
        passwords: Passwords,
        links: Links,
        mail: Mail,
        notices: Notices,
        ledger: Ledger,
    ) -> None:
        self._identities = identities
        self._passwords = passwords
        self._links = links
        self._mail = mail
        self._notices = notices
        self._ledger = ledger

    @property
    def handlers(self) -> dict[str, Handler]:
        return {
            "register": self.register,
            "confirm": self.confirm,
            "forgotten": self.forgotten,
            "locked": self.locked,
        }

    async def register(self, tenant: Tenant, said: Mapping[str, str], finishing: Finishing) -> None:
        """Makes the account, which nobody can use until the address is confirmed.

        Where it was registered before and never confirmed, one of the two may be a stranger who waits for the owner to
        confirm it for them. So both passwords are void, and whoever gets the mail chooses one.
        """
        code, email = await self._links.make_code(), said["email"]
        async with finishing() as tx:
            try:
                user = await self._identities.register_local(
                    tx, tenant.id, email, said["name"], role="member", verified=False
                )
            except Conflict:
                await self._registered_before(tx, tenant, email, code)
                return
            await self._passwords.set(tx, tenant.id, user.id, said["password"])
            await self._record(tx, tenant, user.id, "account.registered", email)
            await self._post_confirm(tx, tenant, user, code)

    async def confirm(self, tenant: Tenant, said: Mapping[str, str], finishing: Finishing) -> None:
        """Sends that mail once more; nothing to whoever needs none."""
        code = await self._links.make_code()
        async with finishing() as tx:
            user = await self._with_password(tx, tenant, said["email"])
            if user is not None and not user.email_verified and not user.disabled:
                await self._post_confirm(tx, tenant, user, code)

    async def forgotten(self, tenant: Tenant, said: Mapping[str, str], finishing: Finishing) -> None:
        """A link to choose a password with, or, where there is none, how they sign in. Strangers get no mail."""
        email = said["email"]
        async with finishing() as tx:
            owner, other = await self._with_password(tx, tenant, email), await self._proven(tx, tenant, email)
            user = owner if owner is not None and (owner.email_verified or other is None) else other
            await self._record(tx, tenant, user.id if user else None, "password.reset_requested", email)
            if user is None or user.disabled or user.email is None:
                return
            if user is not owner:
                ways = await self._ways(tx, tenant, user)
                message = templates.no_password(tenant.name, ways=ways, sign_in=f"{tenant.origin}/")
            else:
                token = await self._links.add(tx, tenant.id, user.id, "reset")
                message = templates.reset(tenant.name, link=f"{tenant.origin}/reset-password#token={token}")
            await self._mail.post(tx, tenant.id, user.id, user.email, message)

    async def locked(self, tenant: Tenant, said: Mapping[str, str], finishing: Finishing) -> None:
        async with finishing() as tx:
            if said["user_id"] and await self._identities.hold(tx, tenant.id, UUID(said["user_id"])):
                compose = partial(templates.account_locked, method=said["method"])
                await self._notices.tell(tx, tenant.id, UUID(said["user_id"]), compose)

    async def _registered_before(self, tx: Transaction, tenant: Tenant, email: str, code: Code) -> None:
        user = await self._proven(tx, tenant, email)
        if user is not None:
            await self._post_registered_already(tx, tenant, user)
            return
        user = await self._with_password(tx, tenant, email)
        if user is not None and not user.disabled:
            await self._passwords.void(tx, tenant.id, user.id)
            await self._post_confirm(tx, tenant, user, code, again=True)

    async def _post_confirm(
        self, tx: Transaction, tenant: Tenant, user: User, code: Code, *, again: bool = False
    ) -> None:
        token = await self._links.add(tx, tenant.id, user.id, "confirm", code)
        link = f"{tenant.origin}/verify-email#token={token}"
        message = templates.confirm(tenant.name, link=link, code=code.text, again=again)
        await self._mail.post(tx, tenant.id, user.id, user.email or "", message)

    async def _post_registered_already(self, tx: Transaction, tenant: Tenant, user: User) -> None:
        ways = await self._ways(tx, tenant, user)
        message = templates.registered_already(
            tenant.name, ways=ways, sign_in=f"{tenant.origin}/", reset=f"{tenant.origin}/reset-password"
        )
        await self._mail.post(tx, tenant.id, user.id, user.email or "", message)

    async def _with_password(self, tx: Transaction, tenant: Tenant, email: str) -> User | None:
        user_id = await self._passwords.find_owner(tx, tenant.id, email)
        if user_id is None or not await self._identities.hold(tx, tenant.id, user_id):
            return None
        return await self._identities.find_user(tx, tenant.id, user_id)

    async def _proven(self, tx: Transaction, tenant: Tenant, email: str) -> User | None:
        """Whose proven address it is, however they sign in."""
        for user in await self._identities.find_by_email(tx, tenant.id, email):
            if user.email_verified and await self._identities.hold(tx, tenant.id, user.id):
                return user
        return None

    async def _ways(self, tx: Transaction, tenant: Tenant, user: User) -> str:
        """What the person signs in with, in words."""
        linked = await self._identities.identities_of(tx, tenant.id, user.id)
        ways = [each.provider.capitalize() for each in linked]
        if await self._passwords.find(tx, tenant.id, user.id) is not None:
            ways.insert(0, "a password")
        return " or ".join(dict.fromkeys(ways)) or "a passkey"

    async def _record(self, tx: Transaction, tenant: Tenant, user_id: UUID | None, action: str, email: str) -> None:
        entry = Entry(tenant_id=tenant.id, action=action, user_id=user_id, detail={"account": email})
        await self._ledger.record(tx, entry)


class LockErrands:
    """Implements `keybearer.lockouts.service.OnLock`."""

    def __init__(self, errands: Errands) -> None:
        self._errands = errands

    async def __call__(self, tx: Transaction, account: Account, method: Method) -> None:
        user_id = str(account.user_id) if account.user_id else ""
        await self._errands.ask(tx, account.tenant_id, "locked", user_id=user_id, method=method)
