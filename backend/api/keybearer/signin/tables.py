"""Flows under way."""

from sqlalchemy import ARRAY, Column, DateTime, LargeBinary, Table, Text, Uuid

from keybearer.kit.tables import metadata

flows = Table(
    "flows",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("state_hash", LargeBinary, nullable=False),
    Column("browser_hash", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("user_id", Uuid),
    Column("session_id", Uuid),
    Column("connection_id", Uuid),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("return_to", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("secrets", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
)
