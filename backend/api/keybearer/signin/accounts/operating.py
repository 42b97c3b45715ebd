"""What an operator does with accounts from the command line: make one, set its password, invite somebody."""

from dataclasses import dataclass, field
from uuid import UUID

from keybearer.identity import address
from keybearer.identity.errors import account_not_found
from keybearer.identity.invitations.service import Invitations
from keybearer.identity.model import User
from keybearer.identity.passwords.model import Stored
from keybearer.identity.passwords.service import Passwords
from keybearer.identity.service import Identities
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import BadInput, Conflict
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.lockouts.service import Lockouts
from keybearer.sessions.service import Sessions
from keybearer.signin.accounts.factors import SecondFactors
from keybearer.signin.accounts.model import words_of
from keybearer.tenancy.model import Tenant

ROLES = ("admin", "member")
_LONGEST_NAME = 200
_EVERYBODY = 10_000_000


@dataclass(frozen=True, slots=True)
class Brought:
    """Somebody with an account in another system. `password_hash` is as that system kept it."""

    email: str
    name: str
    role: str = "member"
    verified: bool = False
    password_hash: str | None = field(default=None, repr=False)


class Operating:
    def __init__(
        self,
        db: Database,
        identities: Identities,
        passwords: Passwords,
        invitations: Invitations,
        sessions: Sessions,
        ledger: Ledger,
        factors: SecondFactors,
        lockouts: Lockouts,
    ) -> None:
        self._db = db
        self._identities = identities
        self._passwords = passwords
        self._invitations = invitations
        self._sessions = sessions
        self._ledger = ledger
        self._factors = factors
        self._lockouts = lockouts

    async def create(self, tenant: Tenant, email: str, name: str, role: str, password: str) -> User:
        """Whoever runs the installation says whose address it is.

        Raises BadInput (`email_invalid`, `password_refused`), Conflict (`address_taken`, `link_required`).
        """
        kept = address.checked(email)
        encoded = await self._passwords.hash_new(password, words=words_of(kept, name))
        async with self._db.transaction(tenant.id) as tx:
            user = await self._identities.register_local(tx, tenant.id, kept, name, role=role, verified=True)
            await self._passwords.set(tx, tenant.id, user.id, encoded)
            await self._record(tx, tenant, user.id, "account.created", {"account": kept, "role": role})
        return user

    async def reset_password(self, tenant: Tenant, email: str, password: str) -> int:
        """How many sessions ended: all of the person's. Gives a first password to somebody who had none, and lifts a
        lock that wrong passwords brought.

        Raises NotFound("account_not_found"), BadInput("password_refused").
        """
        async with self._db.transaction(tenant.id) as tx:
            user = await self._find(tx, tenant, email)
            before = await self._passwords.find(tx, tenant.id, user.id)
            factors = await self._factors.enrolled(tx, tenant.id, user.id)
        words = words_of(user.email or "", user.name)
        encoded = await self._passwords.hash_new(password, words=words, has_factor=bool(factors), before=before)
        async with self._db.transaction(tenant.id) as tx:
            if not await self._identities.hold(tx, tenant.id, user.id):
                raise account_not_found()
            await self._passwords.set(tx, tenant.id, user.id, encoded)
            await self._lockouts.forgive(tx, tenant.id, user.id, "password")
            ended = await self._sessions.end_all(tx, tenant.id, user.id)
            await self._record(tx, tenant, user.id, "password.reset", {"sessions": ended})
        return ended

    async def configure_admin(self, tenant: Tenant, email: str, password: str | None, encoded: str | None) -> bool:
        """Makes the admin whom the settings name, with the password or the hash of one that they name. Whether anything
        was done.

        The settings count: what was changed here since is changed back. Raises BadInput (`email_invalid`,
        `password_refused`), Conflict("link_required").
        """
        kept = address.checked(email)
        user, stored = await self._admin(tenant, kept)
        same = stored is not None and not stored.void and await self._is_same(stored, password, encoded)
        if same and user is not None and user.role == "admin" and not user.disabled:
            return False
        if encoded is None:
            encoded = await self._passwords.hash_new(password or "", words=words_of(kept, kept))
        async with self._db.transaction(tenant.id) as tx:
            if user is None:
                user = await self._identities.register_local(tx, tenant.id, kept, kept, role="admin", verified=True)
            await self._identities.set_role(tx, user, "admin")
            await self._identities.set_disabled(tx, user, disabled=False)
            if not same:
                await self._passwords.set(tx, tenant.id, user.id, encoded)
                await self._sessions.end_all(tx, tenant.id, user.id)
            await self._record(tx, tenant, user.id, "account.configured", {"account": kept})
        return True

    def is_our_hash(self, encoded: str) -> bool:
        """Made by `hash_password`, or by anything else with today's parameters."""
        return not self._passwords.is_outdated(encoded)

    async def invite(self, tenant: Tenant, email: str, role: str) -> str:
        """The token, shown this once. Raises BadInput("email_invalid")."""
        kept = address.checked(email)
        async with self._db.transaction(tenant.id) as tx:
            token = await self._invitations.invite(tx, tenant.id, kept, role)
            await self._record(tx, tenant, None, "account.invited", {"account": kept, "role": role})
        return token

    async def people(self, tenant: Tenant, limit: int) -> list[User]:
        """Who came first is first."""
        async with self._db.transaction(tenant.id) as tx:
            return await self._identities.people(tx, tenant.id, limit)

    async def export(self, tenant: Tenant, *, hashes: bool) -> list[Brought]:
        """Everybody, as `bring` takes them."""
        async with self._db.transaction(tenant.id) as tx:
            found = await self._identities.people(tx, tenant.id, _EVERYBODY)
            kept = await self._passwords.export(tx, tenant.id) if hashes else {}
        return [
            Brought(each.email, each.name, each.role, each.email_verified, kept.get(each.id))
            for each in found
            if each.email is not None
        ]

    async def set_disabled(self, tenant: Tenant, email: str, *, disabled: bool) -> int:
        """How many sessions ended. Raises NotFound("account_not_found"), Conflict("last_admin")."""
        async with self._db.transaction(tenant.id) as tx:
            user = await self._find(tx, tenant, email)
            await self._identities.set_disabled(tx, user, disabled=disabled)
            ended = await self._sessions.end_all(tx, tenant.id, user.id) if disabled else 0
            await self._record(tx, tenant, user.id, "account.disabled" if disabled else "account.enabled", {})
        return ended

    async def set_role(self, tenant: Tenant, email: str, role: str) -> None:
        """Raises NotFound("account_not_found"), Conflict("last_admin")."""
        async with self._db.transaction(tenant.id) as tx:
            user = await self._find(tx, tenant, email)
            await self._identities.set_role(tx, user, role)
            await self._record(tx, tenant, user.id, "account.role_changed", {"role": role})

    def why_not(self, person: Brought) -> str | None:
        """What is wrong with somebody who is to be brought along; None for nothing."""
        try:
            address.checked(person.email)
        except BadInput as error:
            return error.detail
        if person.role not in ROLES:
            return f"The role is none of {', '.join(ROLES)}."
        if not 0 < len(person.name) <= _LONGEST_NAME:
            return f"The name is empty, or longer than {_LONGEST_NAME} characters."
        if person.password_hash is not None and not self._passwords.is_usable(person.password_hash):
            return "The hash is none of Argon2, bcrypt, PBKDF2 and scrypt, or its cost is past reason."
        return None

    async def is_here(self, tenant: Tenant, email: str) -> bool:
        """Whether `bring` would leave somebody alone."""
        async with self._db.transaction(tenant.id) as tx:
            return bool(await self._identities.find_by_email(tx, tenant.id, address.checked(email)))

    async def bring(self, tenant: Tenant, person: Brought) -> bool:
        """Makes an account of somebody who had one elsewhere; False where the address has one here, which stays.

        `why_not` was asked before.
        """
        kept = address.checked(person.email)
        try:
            async with self._db.transaction(tenant.id) as tx:
                if await self._identities.find_by_email(tx, tenant.id, kept):
                    return False
                user = await self._identities.register_local(
                    tx, tenant.id, kept, person.name, role=person.role, verified=person.verified
                )
                if person.password_hash is not None:
                    await self._passwords.bring(tx, tenant.id, user.id, person.password_hash)
                detail = {"account": kept, "role": person.role, "imported": True}
                await self._record(tx, tenant, user.id, "account.created", detail)
        except Conflict:
            return False
        return True

    async def _admin(self, tenant: Tenant, email: str) -> tuple[User | None, Stored | None]:
        async with self._db.transaction(tenant.id) as tx:
            owner = await self._passwords.find_owner(tx, tenant.id, email)
            if owner is None:
                return None, None
            user = await self._identities.find_user(tx, tenant.id, owner)
            return user, await self._passwords.find(tx, tenant.id, owner)

    async def _is_same(self, stored: Stored, password: str | None, encoded: str | None) -> bool:
        if encoded is not None:
            return stored.hash == encoded
        return await self._passwords.verify(password or "", stored)

    async def _find(self, tx: Transaction, tenant: Tenant, email: str) -> User:
        """Who signs in with the address and a password; else who alone has it."""
        owner = await self._passwords.find_owner(tx, tenant.id, email.strip())
        if owner is not None:
            user = await self._identities.find_user(tx, tenant.id, owner)
            found = [user] if user is not None else []
        else:
            found = [
                each
                for each in await self._identities.find_by_email(tx, tenant.id, email.strip())
                if each.email_verified
            ]
        if len(found) != 1:
            raise account_not_found()
        return found[0]

    async def _record(
        self, tx: Transaction, tenant: Tenant, user_id: UUID | None, action: str, detail: dict[str, object]
    ) -> None:
        entry = Entry(tenant_id=tenant.id, action=action, actor_kind="system", user_id=user_id, detail=detail)
        await self._ledger.record(tx, entry)
