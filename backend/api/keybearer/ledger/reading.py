"""What people may read of the ledger: their own entries, and an admin the tenant's."""

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Protocol
from uuid import UUID

import structlog

from keybearer.keys.envelope import Owner
from keybearer.keys.errors import EnvelopeError
from keybearer.keys.service import Keys
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import BadInput, Forbidden, NotFound
from keybearer.kit.principal import Principal
from keybearer.ledger import record, store
from keybearer.ledger.chain import Batch
from keybearer.ledger.model import Item, Query, decode_detail
from keybearer.ledger.store import StoredItem

_HIGHEST_ID = 2**63 - 1
_CURSOR = b"before:"

log = structlog.get_logger(__name__)


class Names(Protocol):
    """The names of people, for entries of others than the reader; who was erased has none."""

    async def __call__(
        self, _tx: Transaction, _tenant_id: UUID, _user_ids: Collection[UUID], /
    ) -> Mapping[UUID, str]: ...


async def no_names(_tx: Transaction, _tenant_id: UUID, _user_ids: Collection[UUID]) -> Mapping[UUID, str]:
    return {}


class Reading:
    def __init__(self, db: Database, keys: Keys, names: Names = no_names) -> None:
        self._db = db
        self._keys = keys
        self._names = names

    async def list_own(
        self, principal: Principal, query: Query, *, after: str | None = None, limit: int = 50
    ) -> tuple[list[Item], str | None]:
        """A page, newest first, and the cursor of the next one.

        Raises Forbidden("not_admin") for a member who asks for somebody else's, BadInput("request_invalid").
        """
        query = replace(query, user_id=_whose(principal, query.user_id))
        return await self.list_tenant(principal.tenant_id, query, after=after, limit=limit, reader=principal)

    async def list_tenant(
        self,
        tenant_id: UUID,
        query: Query,
        *,
        after: str | None = None,
        limit: int = 50,
        reader: Principal | None = None,
    ) -> tuple[list[Item], str | None]:
        """For who may read everything: the command line."""
        wanted: dict[str, object] = {
            field.name: value for field in fields(query) if (value := getattr(query, field.name)) is not None
        }
        if after is not None:
            wanted["before"] = read_cursor(after)
        async with self._db.transaction(tenant_id) as tx:
            found = await store.items(tx, tenant_id, wanted, limit + 1)
            items = await self._opened(tx, tenant_id, found[:limit], reader)
        return items, cursor(items[-1].id) if len(found) > limit else None

    async def get(self, principal: Principal, entry_id: str) -> Item:
        """Raises NotFound("entry_not_found"), for somebody else's entry too."""
        number = int(entry_id) if entry_id.isascii() and entry_id.isdigit() and len(entry_id) < 20 else 0
        if not 0 < number <= _HIGHEST_ID:
            raise _not_found()
        wanted: dict[str, object] = {"id": number}
        if principal.role != "admin":
            wanted["user_id"] = principal.user_id
        async with self._db.transaction(principal.tenant_id) as tx:
            found = await store.items(tx, principal.tenant_id, wanted, 1)
            if not found:
                raise _not_found()
            return (await self._opened(tx, principal.tenant_id, found, principal))[0]

    async def checkpoint(self) -> Batch:
        """The newest signed batch. Raises NotFound("checkpoint_not_found") before the first."""
        async with self._db.transaction(None) as tx:
            batch = await store.last_batch(tx)
        if batch is None:
            raise NotFound(
                "checkpoint_not_found", "Nothing is sealed yet. The first entries are, after a second or two."
            )
        return batch

    async def _opened(
        self, tx: Transaction, tenant_id: UUID, found: Sequence[StoredItem], reader: Principal | None
    ) -> list[Item]:
        known = {reader.user_id: reader.name} if reader is not None else {}
        others = {each.item.user_id for each in found if each.item.user_id is not None} - known.keys()
        names = {**await self._names(tx, tenant_id, others), **known} if others else known
        return [
            replace(
                each.item,
                user_name=names.get(each.item.user_id) if each.item.user_id is not None else None,
                detail=self._detail(tenant_id, each),
            )
            for each in found
        ]

    def _detail(self, tenant_id: UUID, stored: StoredItem) -> Mapping[str, object] | None:
        """None when the person was erased; empty when there was nothing personal."""
        if stored.key is None:
            return None if stored.sealed else {}
        item = stored.item
        owner = Owner.tenant(tenant_id) if item.user_id is None else Owner.user(tenant_id, item.user_id)
        opened: dict[str, object] = {}
        try:
            for uid, sealed in stored.sealed:
                opened.update(decode_detail(self._keys.open_with(stored.key, owner, record.place(uid), sealed)))
        except EnvelopeError:  # `keybearer ledger verify` says whether it was changed
            log.warning("ledger.detail.unreadable", id=item.id)
            return None
        return opened


def cursor(entry_id: int) -> str:
    return base64.urlsafe_b64encode(_CURSOR + str(entry_id).encode()).decode().rstrip("=")


def read_cursor(text: str) -> int:
    try:
        decoded = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error):
        raise _bad_cursor() from None
    digits = decoded.removeprefix(_CURSOR)
    if digits == decoded or not digits.isdigit() or len(digits) > 19 or int(digits) > _HIGHEST_ID:
        raise _bad_cursor()
    return int(digits)


def _whose(principal: Principal, asked: UUID | None) -> UUID | None:
    if principal.role == "admin":
        return asked
    if asked not in {None, principal.user_id}:
        raise Forbidden("not_admin", "Only an admin may read what others did. Leave `person` away to see your own.")
    return principal.user_id


def _bad_cursor() -> BadInput:
    return BadInput("request_invalid", "`after` is not a cursor of this list. Take it from `next` of the page before.")


def _not_found() -> NotFound:
    return NotFound("entry_not_found", "There is no such entry, or it is not yours to read.")
