"""All tenants with their hosts: few rows, read whole."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from keybearer.kit.database import Transaction
from keybearer.tenancy.tables import tenant_hosts, tenants


@dataclass(frozen=True, slots=True)
class TenantRow:
    id: UUID
    slug: str
    name: str
    primary_host: str | None
    hosts: tuple[str, ...]


async def read_all(tx: Transaction) -> list[TenantRow]:
    hosts = func.coalesce(
        select(func.array_agg(tenant_hosts.c.host)).where(tenant_hosts.c.tenant_id == tenants.c.id).scalar_subquery(),
        "{}",
    )
    rows = await tx.execute(select(tenants, hosts.label("hosts")))
    return [TenantRow(row.id, row.slug, row.name, row.primary_host, tuple(row.hosts)) for row in rows]
