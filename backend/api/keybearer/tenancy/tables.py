"""Tenants and their hosts; read before a tenant is known, so row-level security does not apply."""

from sqlalchemy import Column, DateTime, Table, Text, Uuid

from keybearer.kit.tables import metadata

tenants = Table(
    "tenants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("primary_host", Text),
    Column("created_at", DateTime(timezone=True)),
)

tenant_hosts = Table(
    "tenant_hosts",
    metadata,
    Column("host", Text, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
)
