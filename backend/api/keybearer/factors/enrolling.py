"""Factors are added and taken away by whoever showed lately that it is them."""

from typing import Any
from uuid import UUID

from keybearer.factors.model import Factor
from keybearer.factors.passkeys import Credential, Passkeys
from keybearer.factors.recovery import Recovery
from keybearer.factors.service import Factors
from keybearer.factors.step_up import StepUp
from keybearer.factors.totp import Enrolment, Totp
from keybearer.kit.database import Database
from keybearer.kit.principal import Principal
from keybearer.lockouts.model import Source
from keybearer.tenancy.model import Tenant


class Enrolling:
    """Each method raises ReauthenticationNeeded("reauthenticate"), and what the parts raise that it stands before.

    Who adds a factor has shown it, so the session goes on under a new token, which `confirm_totp` and `add_passkey`
    answer.
    """

    def __init__(
        self, db: Database, factors: Factors, totp: Totp, passkeys: Passkeys, recovery: Recovery, step_up: StepUp
    ) -> None:
        self._db = db
        self._factors = factors
        self._totp = totp
        self._passkeys = passkeys
        self._recovery = recovery
        self._step_up = step_up

    async def list_own(self, principal: Principal) -> tuple[list[Factor], int, bool]:
        """And how many recovery codes are left, and whether there is a password. Asks for no proof."""
        found, left = await self._factors.list_own(principal)
        return found, left, await self._step_up.has_password(principal)

    async def begin_totp(self, principal: Principal) -> Enrolment:
        await self._step_up.require_to_enrol(principal)
        return await self._totp.begin(principal)

    async def confirm_totp(
        self, principal: Principal, factor_id: UUID, code: str, source: Source
    ) -> tuple[list[str], str]:
        """The recovery codes, and the session's new token."""
        await self._step_up.require_to_enrol(principal)
        step = await self._totp.check_waiting(principal, factor_id, code)
        new = await self._recovery.make()
        async with self._db.transaction(principal.tenant_id) as tx:
            await self._totp.confirm(tx, principal, factor_id, step, new)
        return new.texts, await self._step_up.prove(principal, "totp", source)

    async def passkey_options(self, tenant: Tenant, principal: Principal, browser: str) -> dict[str, Any]:
        await self._step_up.require_to_enrol(principal)
        return await self._passkeys.registration_options(tenant, principal, browser)

    async def add_passkey(
        self,
        tenant: Tenant,
        principal: Principal,
        browser: str | None,
        credential: Credential,
        name: str,
        source: Source,
    ) -> tuple[UUID, list[str] | None, str]:
        """Its id, recovery codes where there were none, and the session's new token."""
        await self._step_up.require_to_enrol(principal)
        passkey_id, new = await self._passkeys.register(tenant, principal, browser, credential, name)
        token = await self._step_up.prove(principal, "passkey", source)
        return passkey_id, new.texts if new else None, token

    async def remove(self, principal: Principal, factor_id: UUID) -> None:
        await self._step_up.require(principal)
        await self._factors.remove(principal, factor_id)

    async def renew_codes(self, principal: Principal) -> list[str]:
        await self._step_up.require(principal)
        return await self._factors.renew_codes(principal)
