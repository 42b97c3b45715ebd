"""API keys; their secrets are in `bearers`, as hashes."""

from sqlalchemy import ARRAY, Column, DateTime, Table, Text, Uuid

from keybearer.kit.tables import metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text)),
    Column("created_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
)
