"""People and identities."""

from sqlalchemy import Boolean, Column, DateTime, Table, Text, Uuid

from keybearer.kit.tables import metadata

users = Table(
    "users",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("email", Text),
    Column("email_verified", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("avatar_url", Text),
    Column("role", Text, nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True)),
)

identities = Table(
    "identities",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("email", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("last_sign_in_at", DateTime(timezone=True)),
)
