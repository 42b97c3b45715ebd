"""Recovery codes: ten, each for once, for whoever lost their second factor."""

from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

from keybearer.factors import store
from keybearer.factors.model import RECOVERY_CODES, RecoveryCode
from keybearer.factors.record import record
from keybearer.factors.store import SealedCode
from keybearer.identity.passwords.hashing import Hashing
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.service import Keys
from keybearer.kit.database import Database, Transaction
from keybearer.ledger.service import Ledger
from keybearer.letters.notices import Notices
from keybearer.mail import templates


@dataclass(frozen=True, slots=True)
class NewCodes:
    """Hashed already, and not stored yet."""

    codes: tuple[RecoveryCode, ...] = field(repr=False)
    hashes: tuple[str, ...] = field(repr=False)

    @property
    def texts(self) -> list[str]:
        return [code.text for code in self.codes]


class Recovery:
    def __init__(self, db: Database, keys: Keys, hashing: Hashing, ledger: Ledger, notices: Notices) -> None:
        self._db = db
        self._keys = keys
        self._hashing = hashing
        self._ledger = ledger
        self._notices = notices

    async def make(self) -> NewCodes:
        """Takes some tenths of a second, so it is done before a transaction begins."""
        codes: list[RecoveryCode] = []
        for _ in range(RECOVERY_CODES):
            codes.append(RecoveryCode.new({one.selector for one in codes}))
        return NewCodes(tuple(codes), tuple([await self._hashing.hash(one.secret) for one in codes]))

    async def keep(self, tx: Transaction, tenant_id: UUID, user_id: UUID, new: NewCodes) -> None:
        """In place of all that there were."""
        sealed = []
        for code, hashed in zip(new.codes, new.hashes, strict=True):
            code_id = uuid4()
            _, ciphertext = await self._keys.seal(tx, Owner.user(tenant_id, user_id), _place(code_id), hashed.encode())
            sealed.append(SealedCode(code_id, code.selector, ciphertext))
        await store.replace_codes(tx, tenant_id, user_id, sealed)

    async def use(self, tenant_id: UUID, user_id: UUID | None, typed: str) -> bool:
        """Whether it was one of the person's, and unused. Of two at once with one code, one is let in.

        What finds no row is compared too, and takes as long.
        """
        code = RecoveryCode.read(typed)
        found, hashed = None, None
        if code is not None and user_id is not None:
            async with self._db.transaction(tenant_id) as tx:
                found = await store.find_code(tx, tenant_id, user_id, code.selector)
                hashed = await self._open(tx, tenant_id, user_id, found) if found else None
        matches = await self._hashing.verify(code.secret if code else "", hashed)
        if not matches or found is None or user_id is None:
            return False
        async with self._db.transaction(tenant_id) as tx:
            if not await store.use_code(tx, tenant_id, found.id):
                return False
            left = await store.codes_left(tx, tenant_id, user_id)
            await record(tx, self._ledger, tenant_id, user_id, "factor.recovery_code_used", left=left)
            await self._notices.tell(tx, tenant_id, user_id, partial(templates.recovery_code_used, left=left))
        return True

    async def _open(self, tx: Transaction, tenant_id: UUID, user_id: UUID, found: SealedCode) -> str:
        opened = await self._keys.open(tx, Owner.user(tenant_id, user_id), _place(found.id), found.sealed_hash)
        return opened.decode()


def _place(code_id: UUID) -> Place:
    return Place("recovery_codes", str(code_id), "hash")
