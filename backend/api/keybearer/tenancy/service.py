"""Which tenant a request belongs to, by its Host header (rule R1)."""

import asyncio
from uuid import UUID

import structlog
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from keybearer.kit.database import Database
from keybearer.kit.errors import NotFound, Unavailable
from keybearer.kit.settings import LOOPBACK_NAMES, Settings, host_name, is_loopback
from keybearer.tenancy import store
from keybearer.tenancy.model import DEFAULT_ID, Directory, Tenant

_RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Tenancy:
    """The directory is kept in memory and read again when a tenant changes."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._directory = Directory({}, frozenset())
        self._outdated = False
        self._reload: asyncio.Task[None] | None = None

    @property
    def directory(self) -> Directory:
        return self._directory

    @property
    def default(self) -> Tenant:
        return self._directory.tenants[self._settings.public_host]

    def find(self, tenant_id: UUID) -> Tenant | None:
        """None for one without a host."""
        return next((tenant for tenant in self._directory.tenants.values() if tenant.id == tenant_id), None)

    @property
    def aliases(self) -> frozenset[str]:
        """The other names of this machine: a person who types one is led to the public one."""
        public = self._settings.public_host
        return LOOPBACK_NAMES - self._directory.tenants.keys() if is_loopback(public) else frozenset()

    async def start(self) -> None:
        async with self._db.transaction(None) as tx:
            rows = await store.read_all(tx)
        tenants: dict[str, Tenant] = {}
        for row in rows:
            tenant = Tenant(row.id, row.slug, row.name, self._origin(row))
            hosts = [host_name(host) for host in row.hosts]
            if row.id == DEFAULT_ID:
                hosts.append(self._settings.public_host)
            tenants.update(dict.fromkeys(hosts, tenant))
        self._directory = Directory(tenants, self._settings.internal_hosts)

    def notified(self, kind: str, _subject: str) -> None:
        if kind == "tenant":
            self._read_again()

    def disconnected(self) -> None:
        """A change may have been missed."""
        self._read_again()

    def _read_again(self) -> None:
        """One reading at a time, or an older answer could come last."""
        self._outdated = True
        if self._reload is None or self._reload.done():
            self._reload = asyncio.create_task(self._reading(), name="tenancy-reload")

    async def _reading(self) -> None:
        while self._outdated:
            self._outdated = False
            try:
                await self.start()
            except Unavailable:
                log.warning("tenancy.reload_failed")
                self._outdated = True
                await asyncio.sleep(_RETRY_SECONDS)

    def _origin(self, row: store.TenantRow) -> str:
        if row.id == DEFAULT_ID or row.primary_host is None:
            return self._settings.public_url
        return f"https://{row.primary_host}"


class HostGuard:
    """Answers 404 for a host that is nobody's, and puts the tenant into the request's scope."""

    def __init__(self, app: ASGIApp, tenancy: Tenancy, *, bearer_prefixes: tuple[str, ...]) -> None:
        self._app = app
        self._tenancy = tenancy
        self._bearer_prefixes = bearer_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = host_name(Headers(scope=scope).get("host", ""))
        if host in self._tenancy.aliases and scope["method"] == "GET" and not scope["path"].startswith("/api"):
            await RedirectResponse(self._tenancy.default.origin + scope["path"], 307)(scope, receive, send)
            return
        self._place(scope, host)
        await self._app(scope, receive, send)

    def _place(self, scope: Scope, host: str) -> None:
        directory = self._tenancy.directory
        tenant = directory.find(host)
        internal = tenant is None and host in directory.internal
        if tenant is None and not (internal and scope["path"].startswith(self._bearer_prefixes)):
            raise NotFound(
                "host_unknown",
                "This server does not answer to that host name. Use the address in KEYBEARER_PUBLIC_URL, or add the "
                "name to a tenant.",
            )
        scope.setdefault("state", {})["tenant"] = tenant


def tenant_of(scope: Scope) -> Tenant:
    """The tenant that Host names; bearer routes on an internal host have none and must not ask."""
    tenant: Tenant | None = scope["state"]["tenant"]
    if tenant is None:
        raise NotFound("host_unknown", "This address serves agents alone. Use the public address.")
    return tenant
