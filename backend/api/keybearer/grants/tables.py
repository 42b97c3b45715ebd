"""Grants, and which connections each one holds."""

from sqlalchemy import ARRAY, Column, DateTime, Table, Text, Uuid, func

from keybearer.kit.tables import metadata

grants = Table(
    "grants",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("agent", Text, nullable=False),
    Column("scopes", ARRAY(Text)),
    Column("reason", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)

grant_connections = Table(
    "grant_connections",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("grant_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
)
