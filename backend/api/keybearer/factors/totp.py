"""Codes of an authenticator app (RFC 6238)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import pyotp

from keybearer.factors import errors, metrics, model, store
from keybearer.factors.model import UNCONFIRMED_LIFETIME, Seed
from keybearer.factors.record import record
from keybearer.factors.recovery import NewCodes, Recovery
from keybearer.http.principal import not_signed_in
from keybearer.identity.service import Identities
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.service import Keys
from keybearer.kit.database import Database, Transaction
from keybearer.kit.principal import Principal
from keybearer.ledger.service import Ledger
from keybearer.letters.notices import Notices
from keybearer.mail import templates


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an app has to be told, once."""

    id: UUID
    seed: str = field(repr=False)
    otpauth_url: str = field(repr=False)


class Totp:
    def __init__(
        self,
        db: Database,
        keys: Keys,
        identities: Identities,
        recovery: Recovery,
        ledger: Ledger,
        notices: Notices,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._keys = keys
        self._identities = identities
        self._recovery = recovery
        self._ledger = ledger
        self._notices = notices
        self._now = now

    async def begin(self, principal: Principal) -> Enrolment:
        """A seed that counts once it was confirmed. What the person has until then stays."""
        tenant_id, user_id, factor_id, seed = principal.tenant_id, principal.user_id, uuid4(), model.new_seed()
        async with self._db.transaction(tenant_id) as tx:
            if not await self._identities.hold(tx, tenant_id, user_id):
                raise not_signed_in()
            _, sealed = await self._keys.seal(tx, Owner.user(tenant_id, user_id), _place(factor_id), seed.encode())
            await store.add_seed(tx, tenant_id, user_id, factor_id, sealed)
        url = pyotp.TOTP(seed).provisioning_uri(
            name=principal.email or principal.name, issuer_name=principal.tenant_name
        )
        return Enrolment(factor_id, seed, url)

    async def confirm(self, tx: Transaction, principal: Principal, factor_id: UUID, step: int, new: NewCodes) -> None:
        """The app shows the right codes, so its seed takes the place of any other, with recovery codes of its own.

        `step` is what `check_waiting` answered; making recovery codes takes too long to look at the code once more.
        Raises NotFound("factor_not_found").
        """
        tenant_id, user_id = principal.tenant_id, principal.user_id
        await self._waiting_seed(tx, principal, factor_id)
        await store.confirm_seed(tx, tenant_id, user_id, factor_id, step)
        await self._recovery.keep(tx, tenant_id, user_id, new)
        await record(tx, self._ledger, tenant_id, user_id, "factor.added", factor="totp")
        await self._notices.tell(tx, tenant_id, user_id, partial(templates.factor_added, kind="totp"))

    async def check_waiting(self, principal: Principal, factor_id: UUID, code: str) -> int:
        """The time step of the code. Raises NotFound("factor_not_found"), Forbidden("factor_wrong")."""
        async with self._db.transaction(principal.tenant_id) as tx:
            seed = await self._waiting_seed(tx, principal, factor_id)
            steps = await self._steps(tx, principal.tenant_id, principal.user_id, seed, code)
        if not steps:
            raise errors.factor_wrong()
        return steps[-1]

    async def use(self, tenant_id: UUID, user_id: UUID | None, code: str) -> bool:
        """Whether the code is right and later than any that was used before."""
        if user_id is None:
            return False
        async with self._db.transaction(tenant_id) as tx:
            seed = await store.find_seed(tx, tenant_id, user_id)
            steps = await self._steps(tx, tenant_id, user_id, seed, code) if seed else []
            later = [step for step in steps if seed and step > seed.last_step]
            if seed and later:
                await store.use_step(tx, tenant_id, seed.id, later[0])
        metrics.TOTP_ATTEMPTS.labels("ok" if later else "replayed" if steps else "wrong").inc()
        return bool(later)

    async def _waiting_seed(self, tx: Transaction, principal: Principal, factor_id: UUID) -> Seed:
        since = self._now() - UNCONFIRMED_LIFETIME
        seed = await store.find_waiting_seed(tx, principal.tenant_id, principal.user_id, factor_id, since)
        if seed is None:
            raise errors.factor_not_found()
        return seed

    async def _steps(self, tx: Transaction, tenant_id: UUID, user_id: UUID, seed: Seed, code: str) -> list[int]:
        opened = await self._keys.open(tx, Owner.user(tenant_id, user_id), _place(seed.id), seed.sealed)
        return model.totp_steps(opened.decode(), code, self._now())


def _place(factor_id: UUID) -> Place:
    return Place("totp_factors", str(factor_id), "seed")
