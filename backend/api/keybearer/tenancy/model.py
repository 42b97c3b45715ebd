"""A tenant, and which host leads to it."""

from dataclasses import dataclass
from uuid import UUID

DEFAULT_ID = UUID("00000000-0000-7000-8000-000000000001")


@dataclass(frozen=True, slots=True)
class Tenant:
    id: UUID
    slug: str
    name: str
    origin: str
    """Scheme, host and port that redirect URIs and links are built from; never taken from a request."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Every host that we answer to. `internal` hosts name no tenant and serve bearer routes alone."""

    tenants: dict[str, Tenant]
    internal: frozenset[str]

    @property
    def each(self) -> list[Tenant]:
        """Every tenant once, however many hosts lead to it."""
        return list({tenant.id: tenant for tenant in self.tenants.values()}.values())

    def find(self, host: str) -> Tenant | None:
        return self.tenants.get(host)
