"""The second factor of a sign-in with a password."""

from uuid import UUID

from keybearer.factors import errors
from keybearer.factors.model import Shown, Way
from keybearer.factors.passkeys import Passkeys
from keybearer.factors.service import Factors
from keybearer.kit.database import Transaction
from keybearer.kit.errors import KeybearerError
from keybearer.lockouts.model import Account
from keybearer.signin.accounts.model import Second
from keybearer.signin.entrance import Client
from keybearer.tenancy.model import Tenant


class SecondFactors:
    def __init__(self, factors: Factors, passkeys: Passkeys) -> None:
        self._factors = factors
        self._passkeys = passkeys

    async def enrolled(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> tuple[Way, ...]:
        """What the person can show, as `factor_required` tells it; empty where nothing is to be asked for."""
        return await self._factors.factors_of(tx, tenant_id, user_id)

    async def check(self, tenant: Tenant, account: Account, second: Second, client: Client) -> Way:
        """Which one it was. Of nobody, too: what takes no time tells who exists.

        Raises Forbidden("factor_wrong"), TooMany("account_locked"), Conflict("challenge_ended").
        """
        if second.passkey is not None:
            if await self._owner(tenant, second, client) != account.user_id:
                raise errors.factor_wrong()
            return "passkey"
        shown = (
            Shown("totp", second.totp)
            if second.totp is not None
            else Shown("recovery_code", second.recovery_code or "")
        )
        if not await self._factors.verify(account, shown, client.source):
            raise errors.factor_wrong()
        return shown.way

    async def _owner(self, tenant: Tenant, second: Second, client: Client) -> UUID | None:
        try:
            return await self._passkeys.use(tenant, client.flow, second.passkey or {})
        except KeybearerError as error:
            if error.code != errors.passkey_refused().code:
                raise
            return None
