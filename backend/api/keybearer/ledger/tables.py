"""Rows of the ledger, the signed batches that seal them, the eras between restores, and what was moved to files."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Integer, LargeBinary, Table, Text, Uuid

from keybearer.kit.tables import XID8, metadata

ledger = Table(
    "ledger",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("uid", Uuid, nullable=False),
    Column("xid", XID8, nullable=False),
    Column("era", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("user_id", Uuid),
    Column("grant_id", Uuid),
    Column("connection_id", Uuid),
    Column("provider", Text),
    Column("call_id", Uuid),
    Column("method", Text),
    Column("status", Integer),
    Column("duration_ms", Integer),
    Column("code", Text),
    Column("request_id", Text),
    Column("dek_id", Uuid),
    Column("detail", LargeBinary),
)

batches = Table(
    "ledger_batches",
    metadata,
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    Column("era", Integer, nullable=False),
    Column("from_xid", XID8, nullable=False),
    Column("to_xid", XID8, nullable=False),
    Column("count", Integer, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("sealed_at", DateTime(timezone=True), nullable=False),
)

eras = Table(
    "ledger_eras",
    metadata,
    Column("era", Integer, primary_key=True, autoincrement=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
)

archived = Table(
    "ledger_archived",
    metadata,
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    Column("era", Integer, nullable=False),
    Column("to_xid", XID8, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("archived_at", DateTime(timezone=True), nullable=False),
    Column("key_id", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
