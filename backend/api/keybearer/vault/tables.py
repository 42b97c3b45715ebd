"""Connections and the journal of refreshes that were begun."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, LargeBinary, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY

from keybearer.kit.tables import metadata

connections = Table(
    "connections",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("account_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_reason", Text),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("dek_id", Uuid, nullable=False),
    Column("access_token", LargeBinary),
    Column("refresh_token", LargeBinary),
    Column("id_token", LargeBinary),
    Column("access_expires_at", DateTime(timezone=True)),
    Column("grant_expires_at", DateTime(timezone=True)),
    Column("reminded_days", Integer),
    Column("epoch", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", DateTime(timezone=True), nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
    Column("unverified", Boolean, nullable=False),
)

refresh_journal = Table(
    "refresh_journal",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("connection_id", Uuid, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Column("outcome", Text),
)
