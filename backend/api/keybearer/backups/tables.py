"""What is known of restores, and how maintenance went."""

from sqlalchemy import BigInteger, Column, DateTime, Float, Identity, Integer, Table, Text

from keybearer.kit.tables import metadata

restores = Table(
    "restores",
    metadata,
    Column("era", Integer, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("archive", Text),
    Column("archived_at", DateTime(timezone=True)),
    Column("erasures_replayed_at", DateTime(timezone=True)),
)

maintenance_runs = Table(
    "maintenance_runs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("archive", Text),
    Column("lost_seconds", Float),
    Column("problem", Text),
)
