"""What a sign-in asks beside the password. The seam where second factors come in."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from keybearer.kit.database import Transaction


@dataclass(frozen=True, slots=True)
class Proof:
    """What came with the password."""

    totp: str | None = field(default=None, repr=False)
    recovery_code: str | None = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        return self.totp is None and self.recovery_code is None


class SecondFactors(Protocol):
    async def enrolled(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> tuple[str, ...]:
        """Names of the factors that the person has, as `factor_required` tells them; empty for none."""

    async def check(self, tenant_id: UUID, user_id: UUID, proof: Proof) -> None:
        """Asked after the password was right, of somebody who has a factor, and never with an empty proof.

        In a transaction of its own, because what it notes of a failure must stay. Raises NotSignedIn, TooMany.
        """


class NoSecondFactors:
    """Nobody has one."""

    async def enrolled(self, _tx: Transaction, _tenant_id: UUID, _user_id: UUID) -> tuple[str, ...]:
        return ()

    async def check(self, _tenant_id: UUID, _user_id: UUID, _proof: Proof) -> None:
        return
