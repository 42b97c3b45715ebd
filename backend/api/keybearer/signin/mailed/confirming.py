"""Somebody has the mail that we sent to the address of their account, so the address is theirs."""

from dataclasses import dataclass, field
from uuid import UUID

from keybearer.identity import address
from keybearer.identity.errors import user_disabled
from keybearer.identity.passwords.service import Passwords
from keybearer.identity.service import Identities
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.letters.errands import Errands
from keybearer.letters.errors import code_wrong, letter_ended, mail_off
from keybearer.letters.links import Links
from keybearer.limits.service import SignInLimits
from keybearer.signin import metrics
from keybearer.signin.accounts.errors import confirmed_but_factor_required
from keybearer.signin.accounts.factors import SecondFactors
from keybearer.signin.entrance import Client, Entered, Entrance
from keybearer.tenancy.model import Tenant

_METHOD = "email"


@dataclass(frozen=True, slots=True)
class TypedCode:
    email: str
    code: str = field(repr=False)


class Confirming:
    def __init__(
        self,
        db: Database,
        identities: Identities,
        passwords: Passwords,
        links: Links,
        errands: Errands,
        factors: SecondFactors,
        entrance: Entrance,
        ledger: Ledger,
        limits: SignInLimits,
    ) -> None:
        self._db = db
        self._identities = identities
        self._passwords = passwords
        self._links = links
        self._errands = errands
        self._factors = factors
        self._entrance = entrance
        self._ledger = ledger
        self._limits = limits

    async def send_again(self, tenant: Tenant, email: str) -> None:
        """The same for an address that nobody has.

        Raises Conflict("mail_off"), BadInput("email_invalid"), TooMany("rate_limited").
        """
        if not self._errands.enabled:
            raise mail_off()
        await self._limits.check_address("confirm_again")
        wanted = address.checked(email)
        await self._limits.check_mail(tenant.id, wanted)
        async with self._db.transaction(tenant.id) as tx:
            await self._errands.ask(tx, tenant.id, "confirm", email=wanted)

    async def confirm(self, tenant: Tenant, shown: str | TypedCode, client: Client) -> Entered:
        """`shown` is the token of the link, or the code. Signs in, unless the account has a second factor.

        Raises Conflict (`letter_ended`, `link_required`), BadInput("code_wrong"), Forbidden("user_disabled"),
        NotSignedIn("factor_required"), TooMany (`rate_limited`, `busy`).
        """
        await self._limits.check_address("confirm")
        try:
            entered = await self._confirm(tenant, shown, client)
        except KeybearerError as error:
            metrics.ATTEMPTS.labels(_METHOD, error.code).inc()
            await self._record_failure(tenant, shown, error.code)
            raise
        metrics.ATTEMPTS.labels(_METHOD, "ok").inc()
        return await self._entrance.with_room(tenant, entered)

    async def _confirm(self, tenant: Tenant, shown: str | TypedCode, client: Client) -> Entered:
        tried = await self._try(tenant, shown) if isinstance(shown, TypedCode) else None
        async with self._db.transaction(tenant.id) as tx:
            if tried is not None:
                user_id = await self._links.take_tried(tx, tenant.id, tried)
            else:
                user_id = await self._links.take(tx, tenant.id, "confirm", str(shown))
            entered, factors = await self._prove(tx, tenant, user_id, client)
        if entered is None:
            raise confirmed_but_factor_required(factors)
        return entered

    async def _try(self, tenant: Tenant, typed: TypedCode) -> tuple[bytes, str]:
        """Raises BadInput("code_wrong"), after as long for an address that nobody has."""
        await self._limits.check_account(tenant.id, typed.email)
        async with self._db.transaction(tenant.id) as tx:
            user_id = await self._passwords.find_owner(tx, tenant.id, typed.email)
            tried = await self._links.try_code(tx, tenant.id, user_id)
        if not await self._links.fits(typed.code, tried) or tried is None:
            raise code_wrong()
        return tried

    async def _prove(
        self, tx: Transaction, tenant: Tenant, user_id: UUID | None, client: Client
    ) -> tuple[Entered | None, tuple[str, ...]]:
        """No session where a second factor is on: a mail is no second factor."""
        if user_id is None or not await self._identities.hold(tx, tenant.id, user_id):
            raise letter_ended()
        user = await self._identities.find_user(tx, tenant.id, user_id)
        if user is None:
            raise letter_ended()
        if user.disabled:
            raise user_disabled()
        user = await self._identities.prove_address(tx, user)
        entry = Entry(tenant_id=tenant.id, action="account.verified", user_id=user.id, detail={"account": user.email})
        await self._ledger.record(tx, entry)
        factors = await self._factors.enrolled(tx, tenant.id, user.id)
        if factors:
            return None, factors
        entered = await self._entrance.let_in(tx, tenant, user, client, _METHOD, proof=None, account=user.email)
        return entered, ()

    async def _record_failure(self, tenant: Tenant, shown: str | TypedCode, code: str) -> None:
        """Of nobody: whoever shows what is wrong is not known to be anybody."""
        detail = {"account": shown.email[:320]} if isinstance(shown, TypedCode) else {}
        entry = Entry(
            tenant_id=tenant.id,
            action="sign_in.failed",
            outcome="failed",
            provider=_METHOD,
            code=code,
            detail=detail,
        )
        async with self._db.transaction(tenant.id) as tx:
            await self._ledger.record(tx, entry)
