"""Bearer secrets as hashes, sessions, and the devices that they were on."""

from sqlalchemy import Column, DateTime, LargeBinary, Table, Text, Uuid

from keybearer.kit.tables import metadata

bearers = Table(
    "bearers",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("tenant_id", Uuid, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("address", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("authenticated_at", DateTime(timezone=True)),
    Column("last_seen_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("proved_at", DateTime(timezone=True)),
    Column("proved_by", Text),
)

devices = Table(
    "devices",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("block", Text, primary_key=True),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
)
