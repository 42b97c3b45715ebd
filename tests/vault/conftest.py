"""A vault over the test's database, and a provider in miniature that does what a test tells it to."""

import asyncio
import base64
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from keybearer.events.service import Events
from keybearer.keys import keyring
from keybearer.keys.service import Keys
from keybearer.kit import faults
from keybearer.kit.breaker import Breakers
from keybearer.kit.database import Database
from keybearer.kit.principal import Principal
from keybearer.ledger.service import Ledger
from keybearer.providers.identity_answer import ProviderIdentity
from keybearer.providers.model import Credential, Field, GrantLifetime, Provider
from keybearer.providers.tokens import TokenAnswer, TokenRequestFailed
from keybearer.vault.model import Connection
from keybearer.vault.refresh.timings import Timings
from keybearer.vault.service import Vault

TENANT = UUID("00000000-0000-7000-8000-000000000001")
QUICK = Timings(
    call=1.0,
    lease=1.5,
    caller=5.0,
    shutdown=3.0,
    confirm=0.05,
    unknown=(0.02, 0.04, 0.08),
    transient=(0.02, 0.04),
    poll=(0.01, 0.02, 0.05),
    store=(0.02, 0.05),
    longest_wait=0.2,
    first_pause=0.4,
    longest_pause=2.0,
    misconfigured=30.0,
)
PROVIDERS = {
    "acme": Provider(name="acme", title="Acme", auth="oauth2", grant_lifetime=GrantLifetime(months=6)),
    "open": Provider(name="open", title="Open", auth="oauth2", raw_token=True),
    "growing": Provider(name="growing", title="Growing", auth="oauth2", incremental={"include_granted_scopes": "true"}),
    "keyed": Provider(
        name="keyed",
        title="Keyed",
        auth="api_key",
        raw_token=True,
        fields=(Field("key", "API key"),),
        credential=Credential("X-Api-Key", "{key}"),
    ),
    "named": Provider(
        name="named",
        title="Named",
        auth="basic",
        fields=(Field("user", "User name", secret=False), Field("password", "Password")),
        credential=Credential(format="{user}:{password}", basic=True),
    ),
    "machine": Provider(
        name="machine",
        title="Machine",
        auth="client_credentials",
        fields=(Field("client_id", "Client id", secret=False), Field("client_secret", "Client secret")),
    ),
}

Step = str | float | BaseException


@dataclass
class Upstream:
    """Stands in for the outside world: issues tokens, rotates, fails by script.

    Each token request takes the next of `script`: "ok", a kind of failure, "lost" (it rotated, and the answer never
    came), "hang"; afterwards everything is "ok". A refresh token that was rotated away is refused.
    """

    script: list[str] = field(default_factory=list)
    rotates: bool = True
    grace: bool = True
    expires_in: float | None = 3600.0
    retry_after: float | None = None
    scopes: tuple[str, ...] | None = None
    delay: float = 0.0
    asked: list[str] = field(default_factory=list)
    revoked: list[tuple[str | None, str | None]] = field(default_factory=list)
    revokes: bool = True
    void: set[str] = field(default_factory=set)
    made: int = 0
    before: Callable[[], Awaitable[None]] | None = None

    def find_provider(self, name: str) -> Provider | None:
        return PROVIDERS.get(name)

    def get_provider(self, name: str) -> Provider:
        return PROVIDERS[name]

    async def refresh(self, provider: Provider, refresh_token: str) -> TokenAnswer:
        return await self._answer(refresh_token)

    async def client_credentials(self, provider: Provider, fields: Mapping[str, str]) -> TokenAnswer:
        return replace(await self._answer(json.dumps(dict(fields))), refresh_token=None)

    async def revoke(self, provider: Provider, *, access_token: str | None, refresh_token: str | None) -> bool:
        self.revoked.append((access_token, refresh_token))
        return self.revokes

    async def _answer(self, presented: str) -> TokenAnswer:
        self.asked.append(presented)
        step = self.script.pop(0) if self.script else "ok"
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.before is not None:
            await self.before()
        if step == "hang":
            await asyncio.Event().wait()
        if step == "lost":
            self._rotate(presented)
            raise TokenRequestFailed("unknown")
        if step != "ok":
            raise TokenRequestFailed(step, code=step, retry_after=self.retry_after)  # type: ignore[arg-type]
        if presented in self.void:
            raise TokenRequestFailed("invalid_grant", code="invalid_grant")
        return self._rotate(presented)

    def _rotate(self, presented: str) -> TokenAnswer:
        self.made += 1
        if self.rotates and not self.grace:
            self.void.add(presented)
        return TokenAnswer(
            access_token=f"access-{self.made}",
            refresh_token=f"refresh-{self.made}" if self.rotates else None,
            expires_in=self.expires_in,
            scopes=self.scopes,
        )


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class World:
    """Everything around the vaults of one test: who owns what, and what was written about it."""

    db: Database
    keys: Keys
    upstream: Upstream
    clock: Clock
    superuser_url: str
    person: UUID
    proved: bool = False
    vaults: list[Vault] = field(default_factory=list)

    @property
    def principal(self) -> Principal:
        now = datetime.now(UTC)
        return Principal(
            tenant_id=TENANT,
            user_id=self.person,
            session_id=uuid4(),
            email=None,
            name="Alice",
            avatar_url=None,
            role="member",
            tenant_name="Keybearer",
            expires_at=now + timedelta(days=1),
            authenticated_at=now,
        )

    def vault(self, timings: Timings = QUICK, upstream: Any = None, **changes: float) -> Vault:
        """One process's vault; more of them over the same database behave as more processes."""
        made = Vault(
            self.db,
            self.keys,
            upstream or self.upstream,
            Ledger(self.db, self.keys),
            Events(self.db),
            breakers=Breakers(),
            owner=f"process-{len(self.vaults)}",
            clock=self.clock,
            timings=replace(timings, **changes),
        )
        self.vaults.append(made)
        return made

    async def connect(
        self,
        vault: Vault,
        *,
        provider: str = "acme",
        account: str = "alice",
        expires_in: float | None = 0.0,
        refresh_token: str | None = "refresh-0",
        scopes: tuple[str, ...] | None = None,
        requested: tuple[str, ...] = ("play",),
    ) -> Connection:
        """A consent; by default its access token is expired already."""
        answer = TokenAnswer(access_token="access-0", refresh_token=refresh_token, expires_in=expires_in, scopes=scopes)
        identity = ProviderIdentity(
            issuer="https://acme.test",
            subject=account,
            email=None,
            email_verified=False,
            name=account,
            avatar_url=None,
            account_name=account.title(),
        )
        async with self.db.transaction(TENANT) as tx:
            return await vault.store(
                tx,
                tenant_id=TENANT,
                user_id=self.person,
                provider=PROVIDERS[provider],
                identity=identity,
                answer=answer,
                requested_scopes=requested,
            )

    async def sql(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.superuser_url, server_settings={"search_path": "keybearer"})
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    async def row(self, connection_id: UUID) -> Mapping[str, Any]:
        return dict((await self.sql("SELECT * FROM connections WHERE id = $1", connection_id))[0])

    async def ledger(self) -> list[tuple[str, str, str | None]]:
        """(action, outcome, code) from the connection's creation on, without that."""
        rows = await self.sql("SELECT action, outcome, code FROM ledger ORDER BY id")
        return [tuple(row) for row in rows if row["action"] != "connection.created"]

    async def events(self) -> list[str]:
        """The states that the person's browser was told, after the connection's creation."""
        rows = await self.sql("SELECT data FROM outbox WHERE name = 'connection.changed' ORDER BY id")
        return [json.loads(row["data"])["state"] for row in rows][1:]

    async def journal(self) -> list[str | None]:
        return [row["outcome"] for row in await self.sql("SELECT outcome FROM refresh_journal ORDER BY started_at")]


@pytest.fixture(scope="module")
def vault_database(postgres_server: Any, template: Any) -> Any:
    """One database for all tests of a module: copying one for each would take longer than the tests."""
    name = f"vault_{secrets.token_hex(6)}"
    superuser = postgres_server.superuser_dsn()
    asyncio.run(_execute(superuser, f"CREATE DATABASE {name} TEMPLATE {template.name} STRATEGY file_copy"))
    urls = (template.url, template.owner_url, template.superuser_url)
    yield type(template)(name, *(url.replace(f"/{template.name}?", f"/{name}?") for url in urls))
    asyncio.run(_execute(superuser, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def database(vault_database: Any) -> Any:
    """The module's database, emptied."""
    tables = "users, data_keys, keks, connections, refresh_journal, ledger, outbox, leases"
    await _execute(
        vault_database.superuser_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        f"TRUNCATE {tables} CASCADE",
    )
    return vault_database


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": "keybearer"})
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def world(db: Database, database, tmp_path: Path) -> Any:
    folder = tmp_path / "keyring"
    folder.mkdir()
    (folder / "primary").write_text("k1")
    (folder / "k1").write_text(base64.b64encode(os.urandom(32)).decode())
    keys = Keys(keyring.load(folder))
    await keys.start(db)
    person = uuid4()
    world = World(db, keys, Upstream(), Clock(), database.superuser_url, person)
    await world.sql("INSERT INTO users (tenant_id, id, name) VALUES ($1, $2, 'Alice')", TENANT, person)
    yield world
    for vault in world.vaults:
        await vault.stop()


@pytest.fixture
def vault(world: World) -> Vault:
    return world.vault()


@pytest.fixture
def reach() -> Iterator[Callable[[str, Callable[[], Awaitable[None]]], None]]:
    """Installs handlers at fault points, for this test alone."""
    yield faults.install
    faults.clear()
