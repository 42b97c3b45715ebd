"""Events that were published lately, so that a page which lost its stream can catch up."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from keybearer.kit.tables import metadata


class XID8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id, which never wraps."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


outbox = Table(
    "outbox",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("xid", XID8, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
