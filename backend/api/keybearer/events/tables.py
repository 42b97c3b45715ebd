"""Events that were published lately, so that a page which lost its stream can catch up."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from keybearer.kit.tables import XID8, metadata

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
