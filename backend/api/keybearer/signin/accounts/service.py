"""Registers people, signs them in with a password, and changes it.

No answer tells whether an address has an account, and none comes sooner because it has none: a password is hashed or
verified each time. Argon2 never runs inside a transaction, so what was read before it is looked at again after it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import structlog

from keybearer.factors.model import Way
from keybearer.identity import address, errors
from keybearer.identity.invitations.service import Invitations
from keybearer.identity.model import CLOSED, OPEN, User
from keybearer.identity.passwords import errors as password_errors
from keybearer.identity.passwords.model import Stored
from keybearer.identity.passwords.service import Passwords
from keybearer.identity.service import Identities
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError, TooMany
from keybearer.kit.principal import Principal
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.letters.errands import Errands
from keybearer.letters.notices import Notices
from keybearer.limits.service import SignInLimits
from keybearer.lockouts.model import Account, Source
from keybearer.lockouts.service import Lockouts
from keybearer.mail import templates
from keybearer.sessions.model import Proof
from keybearer.sessions.service import Sessions
from keybearer.signin import metrics
from keybearer.signin.accounts.errors import address_unproven, factor_required
from keybearer.signin.accounts.factors import SecondFactors
from keybearer.signin.accounts.guessing import GuardedPasswords
from keybearer.signin.accounts.model import Credentials, Newcomer, Second, words_of
from keybearer.signin.entrance import Client, Entered, Entrance
from keybearer.tenancy.model import Tenant

_METHOD: Way = "password"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may register. `reveals`: without mail, people may register though the answer tells of an existing account."""

    registration: str
    reveals: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of whoever an address belongs to; `user` and `stored` are None for a stranger.

    `bucket` is what attempts from this source are counted in.
    """

    account: Account
    user: User | None
    stored: Stored | None = field(repr=False)
    factors: tuple[Way, ...]
    bucket: bytes = field(repr=False)


class Accounts:
    def __init__(
        self,
        db: Database,
        identities: Identities,
        passwords: Passwords,
        invitations: Invitations,
        sessions: Sessions,
        entrance: Entrance,
        ledger: Ledger,
        guarded: GuardedPasswords,
        factors: SecondFactors,
        lockouts: Lockouts,
        errands: Errands,
        notices: Notices,
        limits: SignInLimits,
        rules: Rules,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._identities = identities
        self._passwords = passwords
        self._invitations = invitations
        self._sessions = sessions
        self._entrance = entrance
        self._ledger = ledger
        self._guarded = guarded
        self._factors = factors
        self._lockouts = lockouts
        self._errands = errands
        self._notices = notices
        self._limits = limits
        self._rules = rules
        self._now = now

    async def register(self, tenant: Tenant, newcomer: Newcomer, client: Client) -> Entered | None:
        """None: it is done while nobody waits, and whoever the address belongs to is told by mail.

        Raises Forbidden (`registration_closed`, `invitation_needed`), BadInput (`email_invalid`, `password_refused`),
        TooMany (`rate_limited`, `busy`); and without mail Conflict (`address_taken`, `link_required`).
        """
        await self._limits.check_address("register")
        self._check_may_register(newcomer)
        email = address.checked(newcomer.email)
        encoded = await self._passwords.hash_new(newcomer.password, words=words_of(email, newcomer.name))
        if self._errands.enabled and newcomer.invitation is None:
            await self._limits.check_mail(tenant.id, email)
            async with self._db.transaction(tenant.id) as tx:
                await self._errands.ask(tx, tenant.id, "register", email=email, name=newcomer.name, password=encoded)
            return None
        async with self._db.transaction(tenant.id) as tx:
            user = await self._add(tx, tenant, newcomer, email, encoded)
            entered = await self._let_in(tx, tenant, user, client, _METHOD)
        return await self._entrance.with_room(tenant, entered)

    async def sign_in(self, tenant: Tenant, credentials: Credentials, client: Client) -> Entered:
        """Raises NotSignedIn (`credentials_wrong`, `factor_required`), Forbidden (`factor_wrong`, `user_disabled`,
        `address_unproven`, `password_reset_needed`, `password_expired`), Conflict("challenge_ended"),
        BadInput("password_refused"), TooMany (`rate_limited`, `account_locked`, `busy`).
        """
        await self._limits.check_address("login")
        known = await self._look_up(tenant, credentials.email, client.source)
        # By source, or a stranger who tries all the time would keep the owner out of a browser that is known.
        await self._limits.check_account(tenant.id, credentials.email, known.bucket)
        try:
            entered = await self._sign_in(tenant, known, credentials, client)
        except KeybearerError as error:
            metrics.ATTEMPTS.labels(_METHOD, error.code).inc()
            log.info("signin.failed", code=error.code, provider=_METHOD)
            await self._record_failure(tenant, known, credentials.email, error.code)
            raise
        metrics.ATTEMPTS.labels(_METHOD, "ok").inc()
        return await self._entrance.with_room(tenant, entered)

    async def change_password(
        self, tenant: Tenant, principal: Principal, current: str, new: str, source: Source
    ) -> None:
        """Ends the person's other sessions.

        Raises Conflict("no_password"), Forbidden (`password_wrong`, `password_reset_needed`),
        BadInput("password_refused"), TooMany (`rate_limited`, `account_locked`, `busy`).
        """
        await self._limits.check_account(tenant.id, principal.email or str(principal.user_id))
        async with self._db.transaction(tenant.id) as tx:
            stored = await self._passwords.find(tx, tenant.id, principal.user_id)
            factors = await self._factors.enrolled(tx, tenant.id, principal.user_id)
        if stored is None:
            raise password_errors.none_yet()
        account = Account.of_user(tenant.id, principal.user_id)
        if not await self._guarded.check(account, current, stored, source):
            async with self._db.transaction(tenant.id) as tx:
                entry = _entry(tenant, principal.user_id, "password.changed", "failed", "password_wrong")
                await self._ledger.record(tx, entry)
            raise password_errors.current_wrong()
        words = words_of(principal.email or "", principal.name)
        encoded = await self._passwords.hash_new(new, words=words, has_factor=bool(factors), before=stored)
        async with self._db.transaction(tenant.id) as tx:
            user = await self._still(tx, tenant, principal.user_id, stored)
            if user is None:
                raise password_errors.current_wrong()
            if stored.void:
                raise password_errors.reset_needed()
            await self._passwords.set(tx, tenant.id, user.id, encoded)
            await self._sessions.end_others(principal, tx)
            await self._notices.tell(tx, tenant.id, user.id, templates.password_changed)
            await self._ledger.record(tx, _entry(tenant, user.id, "password.changed"))

    def _check_may_register(self, newcomer: Newcomer) -> None:
        if self._rules.registration == CLOSED:
            raise errors.registration_closed()
        anybody = self._rules.registration == OPEN and (self._errands.enabled or self._rules.reveals)
        if newcomer.invitation is None and not anybody:
            raise errors.invitation_needed()

    async def _add(self, tx: Transaction, tenant: Tenant, newcomer: Newcomer, email: str, encoded: str) -> User:
        """Whoever gave the invitation said whose address it is."""
        role = "member"
        if newcomer.invitation is not None:
            invited = await self._invitations.use(tx, tenant.id, newcomer.invitation, email)
            if invited is None:
                raise errors.invitation_needed()
            role = invited
        user = await self._identities.register_local(
            tx, tenant.id, email, newcomer.name, role=role, verified=newcomer.invitation is not None
        )
        await self._passwords.set(tx, tenant.id, user.id, encoded)
        await self._ledger.record(tx, _entry(tenant, user.id, "account.registered", detail={"account": email}))
        return user

    async def _look_up(self, tenant: Tenant, email: str, source: Source) -> _Known:
        async with self._db.transaction(tenant.id) as tx:
            user_id = await self._passwords.find_owner(tx, tenant.id, email.strip())
            if user_id is None:
                nobody = Account.of_nobody(tenant.id, email)
                return _Known(nobody, None, None, (), await self._lockouts.bucket(tx, nobody, source))
            account = Account.of_user(tenant.id, user_id)
            return _Known(
                account,
                await self._identities.find_user(tx, tenant.id, user_id),
                await self._passwords.find(tx, tenant.id, user_id),
                await self._factors.enrolled(tx, tenant.id, user_id),
                await self._lockouts.bucket(tx, account, source),
            )

    async def _sign_in(self, tenant: Tenant, known: _Known, credentials: Credentials, client: Client) -> Entered:
        right, shown = await self._check_password(tenant, known, credentials, client)
        user, stored = known.user, known.stored
        if not right or user is None or stored is None:
            raise password_errors.wrong()
        if user.disabled:
            raise errors.user_disabled()
        if known.factors and shown == _METHOD:
            if credentials.second.empty:
                raise factor_required(known.factors)
            shown = await self._factors.check(tenant, known.account, credentials.second, client)
        if self._errands.enabled and not user.email_verified:
            raise address_unproven()
        if stored.void:
            raise password_errors.reset_needed()
        chosen = await self._replacement(user, stored, credentials, has_factor=bool(known.factors))
        upgraded = None if chosen else await self._passwords.upgraded(credentials.password, stored)
        async with self._db.transaction(tenant.id) as tx:
            present = await self._still(tx, tenant, user.id, stored)
            if present is None:
                raise password_errors.wrong()
            if chosen is not None:
                await self._passwords.set(tx, tenant.id, user.id, chosen)
                await self._sessions.end_all(tx, tenant.id, user.id)
                await self._notices.tell(tx, tenant.id, user.id, templates.password_changed)
                await self._ledger.record(tx, _entry(tenant, user.id, "password.changed"))
            elif upgraded is not None:
                await self._passwords.replace_hash(tx, tenant.id, user.id, stored, upgraded)
            return await self._let_in(tx, tenant, present, client, shown)

    async def _check_password(
        self, tenant: Tenant, known: _Known, credentials: Credentials, client: Client
    ) -> tuple[bool, Way]:
        """Whether it is right, and what was shown last: a recovery code, where one had to get through a lock."""
        try:
            return await self._guarded.check(known.account, credentials.password, known.stored, client.source), _METHOD
        except TooMany as error:
            code = credentials.second.recovery_code
            if error.code != "account_locked" or code is None:
                raise
        # The code has a limit of its own; were it looked at second, the password could be guessed through it.
        shown = await self._factors.check(tenant, known.account, Second(recovery_code=code), client)
        return await self._passwords.verify(credentials.password, known.stored), shown

    async def _replacement(
        self, user: User, stored: Stored, credentials: Credentials, *, has_factor: bool
    ) -> str | None:
        """The hash of a new password, where the old one is past its age."""
        if not self._passwords.is_expired(stored):
            return None
        if credentials.new_password is None:
            raise password_errors.expired()
        words = words_of(user.email or "", user.name)
        return await self._passwords.hash_new(
            credentials.new_password, words=words, has_factor=has_factor, before=stored
        )

    async def _still(self, tx: Transaction, tenant: Tenant, user_id: UUID, stored: Stored) -> User | None:
        """The person, where they are still here and the password that was verified is still theirs."""
        if not await self._identities.hold(tx, tenant.id, user_id):
            return None
        user = await self._identities.find_user(tx, tenant.id, user_id)
        present = await self._passwords.hold(tx, tenant.id, user_id)
        if (
            user is None
            or user.disabled
            or present is None
            or (present.hash, present.void) != (stored.hash, stored.void)
        ):
            return None
        return user

    async def _let_in(self, tx: Transaction, tenant: Tenant, user: User, client: Client, shown: Way) -> Entered:
        proof = Proof(by=shown, at=self._now())
        return await self._entrance.let_in(tx, tenant, user, client, _METHOD, proof=proof, account=user.email)

    async def _record_failure(self, tenant: Tenant, known: _Known, email: str, code: str) -> None:
        user_id = known.user.id if known.user else None
        async with self._db.transaction(tenant.id) as tx:
            # Recording something of a person who is gone would give them a data key again.
            if user_id is not None and not await self._identities.hold(tx, tenant.id, user_id):
                user_id = None
            entry = _entry(tenant, user_id, "sign_in.failed", "failed", code, detail={"account": email[:320]})
            await self._ledger.record(tx, entry)


def _entry(
    tenant: Tenant,
    user_id: UUID | None,
    action: str,
    outcome: Literal["ok", "failed"] = "ok",
    code: str | None = None,
    detail: Mapping[str, object] | None = None,
) -> Entry:
    return Entry(
        tenant_id=tenant.id,
        action=action,
        outcome=outcome,
        user_id=user_id,
        provider=_METHOD if action.startswith("sign_in") else None,
        code=code,
        detail=detail or {},
    )
