"""Refresh tokens as hashes, each in the family of one sign-in."""

from sqlalchemy import Column, DateTime, LargeBinary, Table, Uuid

from keybearer.kit.tables import metadata

families = Table(
    "refresh_families",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("token_hash", LargeBinary, primary_key=True),
    Column("family_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Column("replay", LargeBinary),
)
