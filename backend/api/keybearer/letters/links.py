"""Makes the links that mails carry, and takes each once.

A token goes into the fragment of a link's address, which no browser sends and so no server logs. Opening the link shows
a page; only what the page posts counts, because mail scanners open links.
"""

import secrets
from uuid import UUID

from keybearer.identity.passwords.hashing import Hashing
from keybearer.kit import tokens
from keybearer.kit.database import Transaction
from keybearer.letters import store
from keybearer.letters.model import CODE_DIGITS, LIFETIMES, REPLACED, Code, Kind

# A person who does not exist is looked up like one who does.
_NOBODY = UUID(int=0)


class Links:
    def __init__(self, hashing: Hashing) -> None:
        self._hashing = hashing

    async def make_code(self) -> Code:
        """Hashed slowly, because there are a million. Never within a transaction. Raises TooMany("busy")."""
        text = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        return Code(text, await self._hashing.hash(text))

    async def add(self, tx: Transaction, tenant_id: UUID, user_id: UUID, kind: Kind, code: Code | None = None) -> str:
        """The token of a new link."""
        if kind in REPLACED:
            await store.end(tx, tenant_id, user_id, kind)
        token = tokens.new(tokens.LETTER)
        code_hash = code.hash if code else None
        await store.add(tx, tenant_id, user_id, kind, tokens.digest(token), code_hash, LIFETIMES[kind])
        return token

    async def find(self, tx: Transaction, tenant_id: UUID, kind: Kind, token: str) -> UUID | None:
        """Whose link it is, without using it."""
        if not tokens.is_well_formed(token, tokens.LETTER):
            return None
        return await store.find(tx, tenant_id, kind, tokens.digest(token))

    async def take(self, tx: Transaction, tenant_id: UUID, kind: Kind, token: str) -> UUID | None:
        """Whose link it was; it is used up."""
        if not tokens.is_well_formed(token, tokens.LETTER):
            return None
        return await store.take(tx, tenant_id, kind, tokens.digest(token))

    async def try_code(self, tx: Transaction, tenant_id: UUID, user_id: UUID | None) -> tuple[bytes, str] | None:
        """What a code of the person's newest mail is compared with, while there are tries left."""
        return await store.try_code(tx, tenant_id, user_id or _NOBODY)

    async def fits(self, code: str, tried: tuple[bytes, str] | None) -> bool:
        """Takes as long where there is nothing to compare it with. Raises TooMany("busy")."""
        return await self._hashing.verify(code, tried[1] if tried else None)

    async def take_tried(self, tx: Transaction, tenant_id: UUID, tried: tuple[bytes, str]) -> UUID | None:
        """Whose mail the right code was of; its link is used up with it."""
        return await store.take(tx, tenant_id, "confirm", tried[0])

    async def end(self, tx: Transaction, tenant_id: UUID, user_id: UUID, *kinds: Kind) -> None:
        for kind in kinds:
            await store.end(tx, tenant_id, user_id, kind)
