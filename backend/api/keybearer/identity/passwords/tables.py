"""Hashes of passwords."""

from sqlalchemy import ARRAY, Column, DateTime, Table, Text, Uuid

from keybearer.kit.tables import metadata

passwords = Table(
    "passwords",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("previous", ARRAY(Text), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("voided_at", DateTime(timezone=True)),
)
