"""SQL of appending, reading and sealing entries. Rows are only ever inserted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Row as Record
from sqlalchemy import bindparam, delete, text
from sqlalchemy.dialects.postgresql import insert

from keybearer.keys.envelope import WrappedKey
from keybearer.keys.erasures import Erasure
from keybearer.kit.database import Database, Transaction
from keybearer.kit.tables import XID8
from keybearer.ledger.chain import Archived, Batch, Seal, StoredRow
from keybearer.ledger.checkpoint import instant
from keybearer.ledger.model import Item, Row, outcome_now
from keybearer.ledger.tables import archived as archive_marks
from keybearer.ledger.tables import batches

_COLUMNS = tuple(field.name for field in fields(Row))
_UUIDS = ("tenant_id", "uid", "user_id", "grant_id", "connection_id", "call_id", "dek_id")
_TYPES = {"status": "int", "duration_ms": "int", "detail": "bytea", **dict.fromkeys(_UUIDS, "uuid")}
# One statement whatever the number of rows, so that it is planned once and never grows.
_APPEND = text(
    f"INSERT INTO ledger ({', '.join(_COLUMNS)}) SELECT * FROM unnest("  # noqa: S608 -- names of our own columns
    + ", ".join(f"CAST(:{name} AS {_TYPES.get(name, 'text')}[])" for name in _COLUMNS)
    + ")"
)

# Times are read in the wire format, microseconds since 2000: exact, and defined for whatever somebody wrote there.
_SINCE_2000 = 946_684_800_000_000
_STORED = tuple(field.name for field in fields(StoredRow))
_ROWS = text(
    f"""
    SELECT {", ".join("timestamptz_send(at) AS at" if name == "at" else name for name in _STORED)}
      FROM ledger
     WHERE era = :era AND xid >= :lower AND xid < :upper AND (xid, id) > (:after_xid, CAST(:after_id AS bigint))
     ORDER BY xid, id LIMIT :limit
    """  # noqa: S608 -- names of our own columns
).bindparams(bindparam("lower", type_=XID8), bindparam("upper", type_=XID8), bindparam("after_xid", type_=XID8))
_BATCH = """
    SELECT no, era, from_xid, to_xid, count AS number, root, previous_hash, signature, key_id,
           timestamptz_send(sealed_at) AS sealed_at
      FROM ledger_batches
"""
_BATCHES = text(_BATCH + "WHERE no > CAST(:after AS bigint) ORDER BY no LIMIT :limit")
_LAST_BATCH = text(_BATCH + "ORDER BY no DESC LIMIT 1")
_HORIZON = text(
    """
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS below, clock_timestamp() AS at,
           array(SELECT era FROM ledger_eras ORDER BY era) AS eras
    """
)
# As the index has it.
_ERASED = text(
    "SELECT tenant_id, user_id, at, era, xid FROM ledger WHERE action = 'account.erased' AND user_id IS NOT NULL"
    " ORDER BY id"
)
_NEWEST_ROW = text("SELECT coalesce(max(id), 0) FROM ledger")
_BEGIN_ERA = text("INSERT INTO ledger_eras (era) SELECT max(era) + 1 FROM ledger_eras RETURNING era")
_PLACE = text("SELECT current_era() AS era, pg_current_xact_id() AS xid")
_UNSEALED = text(
    """
    SELECT count(l.id) AS number, extract(epoch FROM clock_timestamp() - min(l.at))::float8 AS oldest
      FROM unnest(CAST(:eras AS int[]), CAST(CAST(:starts AS text[]) AS xid8[])) AS open (era, start)
      LEFT JOIN ledger l ON l.era = open.era AND l.xid >= open.start
    """
)
_FIRST_FROM = text("SELECT id FROM ledger WHERE era = :era AND xid >= :lower ORDER BY xid, id LIMIT 1").bindparams(
    bindparam("lower", type_=XID8)
)
# One statement, so one snapshot: what is committed after it was taken is not seen either.
_FIRST_BEYOND = text(
    "SELECT id FROM ledger WHERE era = :era AND xid >= pg_snapshot_xmax(pg_current_snapshot()) ORDER BY xid, id LIMIT 1"
)
_FIRST_BELOW = text(
    "SELECT id FROM ledger WHERE era < :era OR (era = :era AND xid < :upper) ORDER BY id LIMIT 1"
).bindparams(bindparam("upper", type_=XID8))
_ARCHIVED = text(
    """
    SELECT no, era, to_xid, hash, timestamptz_send(archived_at) AS at, key_id, signature
      FROM ledger_archived ORDER BY no DESC LIMIT 1
    """
)
# The newest batch stays, because the next one follows on it.
_OLD_BATCHES = text(
    _BATCH + "WHERE no > CAST(:after AS bigint) AND sealed_at < :before"  # noqa: S608 -- our own words
    " AND no < (SELECT max(no) FROM ledger_batches) ORDER BY no LIMIT :limit"
)
_DELETE_ROWS = text(
    "DELETE FROM ledger WHERE tenant_id = :tenant AND era = :era AND xid >= :lower AND xid < :upper"
).bindparams(bindparam("lower", type_=XID8), bindparam("upper", type_=XID8))
_FIRST_OUTSIDE = text("SELECT id, era FROM ledger WHERE era < :lowest OR era > :highest ORDER BY era LIMIT 1")

# Laterals, so that each is looked up for the rows of a page alone.
_ITEMS = """
    SELECT l.*, f.uid AS finished_uid, f.outcome AS finished_outcome, f.status AS finished_status,
           f.duration_ms AS finished_duration_ms, f.code AS finished_code, f.detail AS finished_detail,
           CASE WHEN b.to_xid > l.xid THEN b.no END AS batch, k.kek_id, k.wrapped, clock_timestamp() AS now
      FROM ledger l
      LEFT JOIN LATERAL (
        SELECT * FROM ledger f
         WHERE f.tenant_id = l.tenant_id AND f.call_id = l.call_id AND f.action = 'proxy.finished'
           AND f.user_id IS NOT DISTINCT FROM l.user_id
      ) f ON l.action = 'proxy.call'
      LEFT JOIN LATERAL (
        SELECT no, to_xid FROM ledger_batches b
         WHERE b.era = l.era AND b.from_xid <= l.xid ORDER BY b.from_xid DESC LIMIT 1
      ) b ON true
      LEFT JOIN data_keys k
        ON k.tenant_id = l.tenant_id AND k.id = l.dek_id
       AND k.owner_kind = CASE WHEN l.user_id IS NULL THEN 'tenant' ELSE 'user' END
       AND k.owner_id = coalesce(l.user_id, l.tenant_id)
     WHERE l.tenant_id = :tenant AND l.action <> 'proxy.finished'
"""
_CONDITIONS = {
    "action": "(l.action = :action OR starts_with(l.action, :action || '.'))",
    "provider": "l.provider = :provider",
    "connection_id": "l.connection_id = :connection_id",
    "user_id": "l.user_id = :user_id",
    "since": "l.at >= :since",
    "until": "l.at < :until",
    "before": "l.id < CAST(:before AS bigint)",
    "id": "l.id = CAST(:id AS bigint)",
}

_TENANTS = text("SELECT id FROM tenants ORDER BY id")
_SEE = text("SELECT set_config('kb.tenant', :tenant, true)")

HIGHEST_XID = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Horizon:
    """Rows of transactions `below` are all visible or never will be."""

    below: int
    at: datetime
    eras: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item whose details are still sealed, each under the id of its row; `key` is None once it was destroyed."""

    item: Item
    key: WrappedKey | None
    sealed: tuple[tuple[UUID, bytes], ...]


async def append(tx: Transaction, rows: Sequence[Row]) -> None:
    await tx.execute(_APPEND, _arrays(rows))


async def append_calls(db: Database, rows: Sequence[Row]) -> None:
    """All tenants in one round trip and one commit; calls that are there already are left out.

    A transaction for each tenant would cost a commit each, and one person's calls would wait for strangers'. Row-level
    security holds for every row: its tenant comes from a resolved grant, never from a request's own words.
    """
    await db.write("ledger_append", *_arrays(rows).values())


async def items(tx: Transaction, tenant_id: UUID, wanted: Mapping[str, object], limit: int) -> list[StoredItem]:
    """Newest first. `wanted` has names of conditions; a call comes with how it ended."""
    conditions = "".join(f" AND {_CONDITIONS[name]}" for name in wanted)
    query = text(f"{_ITEMS}{conditions} ORDER BY l.id DESC LIMIT :limit")
    return [_item(row) for row in await tx.execute(query, {**wanted, "tenant": tenant_id, "limit": limit})]


async def horizon(tx: Transaction) -> Horizon:
    row = (await tx.execute(_HORIZON)).one()
    return Horizon(below=row.below, at=row.at, eras=tuple(row.eras))


async def stored_rows(
    tx: Transaction, era: int, lower: int, upper: int, *, after: tuple[int, int] | None, limit: int
) -> list[StoredRow]:
    """Rows with `lower` <= xid < `upper`, in the order (xid, id)."""
    after_xid, after_id = after if after is not None else (0, -(2**63))
    found = await tx.execute(
        _ROWS,
        {
            "era": era,
            "lower": lower,
            "upper": upper,
            "after_xid": after_xid,
            "after_id": after_id,
            "limit": limit,
        },
    )
    return [_stored(row) for row in found]


async def list_batches(tx: Transaction, after: int, limit: int) -> list[Batch]:
    return [_batch(row) for row in await tx.execute(_BATCHES, {"after": after, "limit": limit})]


async def last_batch(tx: Transaction) -> Batch | None:
    row = (await tx.execute(_LAST_BATCH)).first()
    return _batch(row) if row is not None else None


async def newest_row(tx: Transaction) -> int:
    found: int = (await tx.execute(_NEWEST_ROW)).scalar_one()
    return found


async def place(tx: Transaction) -> tuple[int, int]:
    """Era and transaction id of what this transaction appends."""
    row = (await tx.execute(_PLACE)).one()
    return row.era, row.xid


async def begin_era(tx: Transaction) -> int:
    era: int = (await tx.execute(_BEGIN_ERA)).scalar_one()
    return era


async def add_batch(tx: Transaction, batch: Batch) -> bool:
    """False when another sealer has used the number already."""
    seal = batch.seal
    added = await tx.execute(
        insert(batches)
        .values(
            no=seal.no,
            era=seal.era,
            from_xid=seal.from_xid,
            to_xid=seal.to_xid,
            count=seal.count,
            root=seal.root,
            previous_hash=seal.previous_hash,
            signature=batch.signature,
            key_id=seal.key_id,
            sealed_at=instant(seal.sealed_at),
        )
        .on_conflict_do_nothing(index_elements=["no"])
    )
    return added.rowcount == 1


async def unsealed(tx: Transaction, starts: Mapping[int, int]) -> tuple[int, float | None]:
    """How many rows there are from each era's start on, and the age of the oldest in seconds."""
    row = (
        await tx.execute(_UNSEALED, {"eras": list(starts), "starts": [str(start) for start in starts.values()]})
    ).one()
    return row.number, row.oldest


async def find_first_from(tx: Transaction, era: int, lower: int) -> int | None:
    """The id of the first row of the era with that transaction id or a higher one."""
    found: int | None = (await tx.execute(_FIRST_FROM, {"era": era, "lower": lower})).scalar()
    return found


async def find_beyond(tx: Transaction, era: int) -> int | None:
    """The id of the first row of the era whose transaction has not begun."""
    found: int | None = (await tx.execute(_FIRST_BEYOND, {"era": era})).scalar()
    return found


async def find_outside(tx: Transaction, lowest: int, highest: int) -> tuple[int, int] | None:
    """Id and era of a row of an era outside these."""
    row = (await tx.execute(_FIRST_OUTSIDE, {"lowest": lowest, "highest": highest})).first()
    return (row.id, row.era) if row is not None else None


async def find_first_below(tx: Transaction, era: int, upper: int) -> int | None:
    """The id of a row of an earlier era, or of that one with a lower transaction id."""
    found: int | None = (await tx.execute(_FIRST_BELOW, {"era": era, "upper": upper})).scalar()
    return found


async def erased(tx: Transaction) -> list[Erasure]:
    """Who was erased, as far as the rows still are here. `tx` sees every tenant's."""
    return [Erasure(row.tenant_id, row.user_id, row.at, row.era, int(row.xid)) for row in await tx.execute(_ERASED)]


async def archived(tx: Transaction) -> Archived | None:
    row = (await tx.execute(_ARCHIVED)).first()
    if row is None:
        return None
    return Archived(**{**dict(row._mapping), "at": _micros(row.at)})


async def old_batches(tx: Transaction, after: int, before: datetime, limit: int) -> list[Batch]:
    """Sealed before that time, oldest first."""
    return [_batch(row) for row in await tx.execute(_OLD_BATCHES, {"after": after, "before": before, "limit": limit})]


async def forget(tx: Transaction, tenants: Sequence[UUID], era: int, lower: int, upper: int, mark: Archived) -> int:
    """Deletes batches and rows up to `mark`; how many rows. For the owner, who sees one tenant at a time too."""
    deleted = 0
    for tenant in tenants:
        await tx.execute(_SEE, {"tenant": str(tenant)})
        place = {"tenant": tenant, "era": era, "lower": lower, "upper": upper}
        deleted += (await tx.execute(_DELETE_ROWS, place)).rowcount
    await tx.execute(delete(batches).where(batches.c.no <= mark.no))
    await tx.execute(delete(archive_marks))
    await tx.execute(
        insert(archive_marks).values(
            no=mark.no,
            era=mark.era,
            to_xid=mark.to_xid,
            hash=mark.hash,
            archived_at=instant(mark.at),
            key_id=mark.key_id,
            signature=mark.signature,
        )
    )
    return deleted


async def tenants_with_rows(tx: Transaction) -> list[UUID]:
    """All there are; the foreign key keeps those with rows from being deleted."""
    return list((await tx.execute(_TENANTS)).scalars())


def _arrays(rows: Sequence[Row]) -> dict[str, list[object]]:
    return {name: [attrgetter(name)(row) for row in rows] for name in _COLUMNS}


def _item(row: Record[Any]) -> StoredItem:
    ended = row.finished_uid is not None
    return StoredItem(
        item=Item(
            id=row.id,
            at=row.at,
            action=row.action,
            outcome=row.finished_outcome if ended else outcome_now(row.action, row.outcome, row.at, row.now),
            actor_kind=row.actor_kind,
            user_id=row.user_id,
            user_name=None,
            grant_id=row.grant_id,
            connection_id=row.connection_id,
            provider=row.provider,
            method=row.method,
            status=row.finished_status if ended else row.status,
            duration_ms=row.finished_duration_ms if ended else row.duration_ms,
            code=row.finished_code if ended else row.code,
            request_id=row.request_id,
            detail=None,
            batch=row.batch,
        ),
        key=WrappedKey(row.dek_id, row.kek_id, row.wrapped) if row.wrapped is not None else None,
        sealed=tuple(
            (uid, detail) for uid, detail in ((row.uid, row.detail), (row.finished_uid, row.finished_detail)) if detail
        ),
    )


def _stored(row: Record[Any]) -> StoredRow:
    values = dict(row._mapping)
    return StoredRow(**{**values, "at": _micros(row.at)})


def _batch(row: Record[Any]) -> Batch:
    return Batch(
        seal=Seal(
            previous_hash=row.previous_hash,
            no=row.no,
            era=row.era,
            from_xid=row.from_xid,
            to_xid=row.to_xid,
            count=row.number,
            root=row.root,
            sealed_at=_micros(row.sealed_at),
            key_id=row.key_id,
        ),
        signature=row.signature,
    )


def _micros(sent: bytes) -> int:
    return int.from_bytes(sent, "big", signed=True) + _SINCE_2000
