"""Who a proven provider identity is here, and who registers without one."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID, uuid4

from keybearer.identity import errors, store
from keybearer.identity.invitations.service import Invitations
from keybearer.identity.model import CLOSED, INVITE, Identity, Presented, User
from keybearer.identity.passwords import store as passwords
from keybearer.keys.envelope import Owner
from keybearer.keys.service import Keys
from keybearer.kit.database import Transaction, notify
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger


class Identities:
    def __init__(self, keys: Keys, ledger: Ledger, invitations: Invitations, registration: str) -> None:
        self._keys = keys
        self._ledger = ledger
        self._invitations = invitations
        self._registration = registration

    async def sign_in(self, tx: Transaction, tenant_id: UUID, presented: Presented) -> User:
        """The person behind an identity, made at the first sign-in.

        Raises Conflict("link_required") where a verified email already belongs to somebody: two providers that know
        the same address are not proof of the same person. Raises Forbidden: `user_disabled`, `registration_closed`,
        `invitation_needed`.
        """
        await store.lock_identity(tx, tenant_id, presented.issuer, presented.subject)
        user = await store.find_user_by_identity(tx, tenant_id, presented.issuer, presented.subject)
        if user is None:
            return await self._register(tx, tenant_id, presented)
        if user.disabled:
            raise errors.user_disabled()
        await store.signed_in(tx, tenant_id, presented)
        return await self._refresh_profile(tx, user, presented)

    async def link(self, tx: Transaction, tenant_id: UUID, user_id: UUID, presented: Presented) -> None:
        """Adds an identity to a signed-in person. Raises Conflict("identity_taken")."""
        await store.lock_identity(tx, tenant_id, presented.issuer, presented.subject)
        owner = await store.find_user_by_identity(tx, tenant_id, presented.issuer, presented.subject)
        if owner is not None and owner.id != user_id:
            raise errors.identity_taken()
        if owner is None:
            await store.add_identity(tx, tenant_id, uuid4(), user_id, presented)
            await self._record(tx, tenant_id, user_id, "identity.linked", presented.provider)

    async def unlink(self, tx: Transaction, tenant_id: UUID, user_id: UUID, identity_id: UUID) -> None:
        """Raises Conflict("last_identity") rather than locking somebody out who has no password."""
        await store.lock_identity(tx, tenant_id, "user", str(user_id))
        linked = await store.list_identities(tx, tenant_id, user_id)
        mine = next((identity for identity in linked if identity.id == identity_id), None)
        if mine is None:
            raise errors.identity_not_found()
        if len(linked) == 1 and await passwords.find(tx, tenant_id, user_id) is None:
            raise errors.last_identity()
        await store.remove_identity(tx, tenant_id, identity_id)
        await self._record(tx, tenant_id, user_id, "identity.unlinked", mine.provider)

    async def identities_of(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[Identity]:
        return await store.list_identities(tx, tenant_id, user_id)

    async def names_of(self, tx: Transaction, tenant_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, str]:
        return await store.names_of(tx, tenant_id, user_ids)

    async def find_user(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> User | None:
        return await store.find_user(tx, tenant_id, user_id)

    async def register_local(
        self, tx: Transaction, tenant_id: UUID, email: str, name: str, *, role: str, verified: bool
    ) -> User:
        """A person who will sign in with a password.

        Raises Conflict: `address_taken` where somebody does so with that address, `link_required` where it is the
        proven address of somebody who signs in with a provider.
        """
        await store.lock_identity(tx, tenant_id, "email", email.lower())
        if await passwords.find_owner(tx, tenant_id, email) is not None:
            raise errors.address_taken()
        if await store.find_verified_email(tx, tenant_id, email) is not None:
            raise errors.link_required()
        return await self._add(tx, User(tenant_id, uuid4(), email, verified, name, None, role, disabled=False))

    async def prove_address(self, tx: Transaction, user: User) -> User:
        """Their mail came back to us. Raises Conflict("link_required") where it is somebody else's proven one."""
        if user.email_verified or user.email is None:
            return user
        await store.lock_identity(tx, user.tenant_id, "email", user.email.lower())
        if await store.find_verified_email(tx, user.tenant_id, user.email) is not None:
            raise errors.link_required()
        proven = replace(user, email_verified=True)
        await store.update_profile(tx, proven)
        await notify(tx, "user", user.id)
        return proven

    async def find_by_email(self, tx: Transaction, tenant_id: UUID, email: str) -> list[User]:
        return await store.find_users_by_email(tx, tenant_id, email)

    async def people(self, tx: Transaction, tenant_id: UUID, limit: int = 50) -> list[User]:
        return await store.list_users(tx, tenant_id, limit)

    async def set_disabled(self, tx: Transaction, user: User, *, disabled: bool) -> None:
        """Whatever opens something for a disabled person is refused from the commit on, in every process.

        Raises Conflict("last_admin").
        """
        if disabled:
            await self._keep_an_admin(tx, user)
        await store.set_disabled(tx, user.tenant_id, user.id, disabled=disabled)
        await notify(tx, "user", user.id)

    async def set_role(self, tx: Transaction, user: User, role: str) -> None:
        """Raises Conflict("last_admin")."""
        if role != "admin":
            await self._keep_an_admin(tx, user)
        await store.set_role(tx, user.tenant_id, user.id, role)
        await notify(tx, "user", user.id)

    async def hold(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
        """Whether the person is still here; if so, they are until the transaction's end."""
        return await store.hold_user(tx, tenant_id, user_id)

    async def claim(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
        """Before an erasure, so that nothing is added to the person meanwhile. False when they are gone already."""
        return await store.claim_user(tx, tenant_id, user_id)

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        """Removes the person and destroys their data key: whatever was sealed under it is unreadable from here on."""
        await store.remove_user(tx, tenant_id, user_id)
        await self._keys.destroy(tx, Owner.user(tenant_id, user_id))
        await notify(tx, "user", user_id)

    async def _register(self, tx: Transaction, tenant_id: UUID, presented: Presented) -> User:
        if presented.email and presented.email_verified:
            await store.lock_identity(tx, tenant_id, "email", presented.email.lower())
            if await store.find_verified_email(tx, tenant_id, presented.email) is not None:
                raise errors.link_required()
        role = await self._role_of_newcomer(tx, tenant_id, presented)
        user = User(
            tenant_id=tenant_id,
            id=uuid4(),
            email=presented.email,
            email_verified=presented.email_verified,
            name=presented.name,
            avatar_url=presented.avatar_url,
            role=role,
            disabled=False,
        )
        await self._add(tx, user)
        await store.add_identity(tx, tenant_id, uuid4(), user.id, presented)
        await store.signed_in(tx, tenant_id, presented)
        return user

    async def _role_of_newcomer(self, tx: Transaction, tenant_id: UUID, presented: Presented) -> str:
        """Whoever proves an address that was invited needs no more proof."""
        if self._registration == CLOSED:
            raise errors.registration_closed()
        invited = None
        if presented.email and presented.email_verified:
            invited = await self._invitations.use_any(tx, tenant_id, presented.email)
        if invited is None and self._registration == INVITE:
            raise errors.invitation_needed()
        return invited or "member"

    async def _add(self, tx: Transaction, user: User) -> User:
        await store.add_user(tx, user)
        await self._keys.ensure(tx, Owner.user(user.tenant_id, user.id))
        return user

    async def _refresh_profile(self, tx: Transaction, user: User, presented: Presented) -> User:
        """Name and picture follow the provider whose address the account has, so that linked ones do not fight."""
        changed = replace(user, name=presented.name, avatar_url=presented.avatar_url)
        if changed == user or presented.email != user.email:
            return user
        await store.update_profile(tx, changed)
        await notify(tx, "user", user.id)
        return changed

    async def _keep_an_admin(self, tx: Transaction, user: User) -> None:
        # Two who are the last two and act at once wait for one another here.
        await store.lock_identity(tx, user.tenant_id, "role", "admin")
        if user.role == "admin" and not user.disabled and await store.other_admins(tx, user.tenant_id, user.id) == 0:
            raise errors.last_admin()

    async def _record(self, tx: Transaction, tenant_id: UUID, user_id: UUID, action: str, provider: str) -> None:
        await self._ledger.record(
            tx, Entry(tenant_id=tenant_id, action=action, actor_kind="person", user_id=user_id, provider=provider)
        )
