"""Links that were mailed, and what waits to be answered by mail."""

from sqlalchemy import Column, DateTime, Integer, LargeBinary, Table, Text, Uuid

from keybearer.kit.tables import metadata

letters = Table(
    "letters",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("code_hash", Text),
    Column("code_tries", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

errands = Table(
    "errands",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
)
