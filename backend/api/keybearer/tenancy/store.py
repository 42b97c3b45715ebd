"""All tenants with their hosts: few rows, read whole."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

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
    hosts: dict[UUID, list[str]] = {}
    for row in await tx.execute(select(tenant_hosts)):
        hosts.setdefault(row.tenant_id, []).append(row.host)
    return [
        TenantRow(row.id, row.slug, row.name, row.primary_host, tuple(hosts.get(row.id, ())))
        for row in await tx.execute(select(tenants))
    ]
