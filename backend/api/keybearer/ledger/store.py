"""SQL of appending and reading entries. Rows are only ever inserted."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from sqlalchemy import text

from keybearer.kit.database import Transaction
from keybearer.ledger.model import Row

_COLUMNS = tuple(field.name for field in fields(Row))
_UUIDS = ("tenant_id", "uid", "user_id", "grant_id", "connection_id", "call_id", "dek_id")
_TYPES = {"status": "int", "duration_ms": "int", "detail": "bytea", **dict.fromkeys(_UUIDS, "uuid")}
# One statement whatever the number of rows, so that it is planned once and never grows.
_APPEND = (
    f"INSERT INTO ledger ({', '.join(_COLUMNS)}) SELECT * FROM unnest("  # noqa: S608 -- names of our own columns
    + ", ".join(f"CAST(:{name} AS {_TYPES.get(name, 'text')}[])" for name in _COLUMNS)
    + ")"
)
_APPEND_ROWS = text(_APPEND)
_APPEND_ONCE = text(
    _APPEND + " ON CONFLICT (tenant_id, call_id, action) WHERE call_id IS NOT NULL DO NOTHING",
)


async def append(tx: Transaction, rows: Sequence[Row]) -> None:
    await tx.execute(_APPEND_ROWS, _arrays(rows))


async def append_once(tx: Transaction, rows: Sequence[Row]) -> None:
    """Rows of calls that are there already are left out, so that a write whose answer was lost may be repeated."""
    await tx.execute(_APPEND_ONCE, _arrays(rows))


def _arrays(rows: Sequence[Row]) -> dict[str, list[object]]:
    return {name: [attrgetter(name)(row) for row in rows] for name in _COLUMNS}
