"""Lets whoever is signed in show once more that it is them (step-up)."""

from uuid import UUID

from keybearer.factors import errors
from keybearer.factors.model import Shown, Way
from keybearer.factors.passkeys import Credential, Passkeys
from keybearer.factors.service import Factors
from keybearer.factors.step_up import Passwords, StepUp
from keybearer.kit.errors import KeybearerError
from keybearer.kit.principal import Principal
from keybearer.lockouts.model import Account, Source
from keybearer.tenancy.model import Tenant


class Reauthentication:
    def __init__(self, factors: Factors, passkeys: Passkeys, step_up: StepUp, passwords: Passwords) -> None:
        self._factors = factors
        self._passkeys = passkeys
        self._step_up = step_up
        self._passwords = passwords

    async def with_code(self, principal: Principal, shown: Shown, source: Source) -> str:
        """The session's new token. Raises Forbidden("factor_wrong"), TooMany("account_locked")."""
        account = Account.of_user(principal.tenant_id, principal.user_id)
        right = await self._factors.verify(account, shown, source)
        return await self._prove_if(right, principal, shown.way, source)

    async def with_password(self, principal: Principal, password: str, source: Source) -> str:
        """The same."""
        right = await self._passwords.verify(principal.tenant_id, principal.user_id, password, source)
        return await self._prove_if(right, principal, "password", source)

    async def with_passkey(
        self, tenant: Tenant, principal: Principal, browser: str | None, credential: Credential, source: Source
    ) -> str:
        """The same, and Conflict("challenge_ended")."""
        whose = await self._whose(tenant, browser, credential)
        return await self._prove_if(whose == principal.user_id, principal, "passkey", source)

    async def _prove_if(self, right: bool, principal: Principal, way: Way, source: Source) -> str:
        if not right:
            await self._step_up.refused(principal, way)
            raise errors.factor_wrong()
        return await self._step_up.prove(principal, way, source)

    async def _whose(self, tenant: Tenant, browser: str | None, credential: Credential) -> UUID | None:
        """A passkey that is refused says nothing of the session, which goes on."""
        try:
            return await self._passkeys.use(tenant, browser, credential)
        except KeybearerError as error:
            if error.code != errors.passkey_refused().code:
                raise
            return None
