"""What people are told by mail about their accounts. The seam where mail comes in."""

from typing import Protocol

from keybearer.identity.model import User
from keybearer.kit.database import Transaction
from keybearer.tenancy.model import Tenant


class Letters(Protocol):
    """Each is posted in the transaction of what it tells of."""

    @property
    def enabled(self) -> bool:
        """Whether mail can be sent. Then an address is proven before it signs in."""

    async def confirm(self, tx: Transaction, tenant: Tenant, user: User) -> None:
        """To somebody new: prove that the address is yours."""

    async def registered_already(self, tx: Transaction, tenant: Tenant, email: str) -> None:
        """To somebody who has an account: somebody, perhaps you, tried to register again."""

    async def password_changed(self, tx: Transaction, tenant: Tenant, user: User) -> None: ...


class NoLetters:
    """There is no mail."""

    enabled = False

    async def confirm(self, _tx: Transaction, _tenant: Tenant, _user: User) -> None:
        return

    async def registered_already(self, _tx: Transaction, _tenant: Tenant, _email: str) -> None:
        return

    async def password_changed(self, _tx: Transaction, _tenant: Tenant, _user: User) -> None:
        return
