"""Invitations that nobody used yet."""

from sqlalchemy import Column, DateTime, LargeBinary, Table, Text, Uuid

from keybearer.kit.tables import metadata

invitations = Table(
    "invitations",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)
