"""Wrong guesses, and the sources from which people came in."""

from sqlalchemy import Column, DateTime, Integer, LargeBinary, Table, Text, Uuid

from keybearer.kit.tables import metadata

lockouts = Table(
    "lockouts",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("account", LargeBinary, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("source", LargeBinary, primary_key=True),
    Column("user_id", Uuid),
    Column("failures", Integer, nullable=False),
    Column("locks", Integer, nullable=False),
    Column("failed_at", DateTime(timezone=True), nullable=False),
    Column("locked_until", DateTime(timezone=True)),
)

known_sources = Table(
    "known_sources",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("source", LargeBinary, primary_key=True),
    Column("last_used_at", DateTime(timezone=True), nullable=False),
)
