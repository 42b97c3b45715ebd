"""Key-encryption keys that are in use, and the wrapped data keys."""

from sqlalchemy import Column, DateTime, LargeBinary, Table, Text, Uuid

from keybearer.kit.tables import metadata

keks = Table("keks", metadata, Column("id", Text, primary_key=True), Column("created_at", DateTime(timezone=True)))

data_keys = Table(
    "data_keys",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("owner_kind", Text, primary_key=True),
    Column("owner_id", Uuid, primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("kek_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True)),
)
