"""The proxy on a real port, over a real database, in front of the sandbox or of an upstream that a test scripts.

The vault is a stand-in that hands out the sandbox's own tokens, so that these tests are about the proxy alone.
"""

import asyncio
import base64
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest
import uvicorn
import yaml
from fastapi import FastAPI
from installation import NO_CERTIFICATES
from keybearer.cli import sandbox as sandbox_files
from keybearer.events.service import Events
from keybearer.grants.background import LastUse
from keybearer.grants.model import Wish
from keybearer.grants.service import Grants
from keybearer.http import problems
from keybearer.http.entry import Entry
from keybearer.keys import keyring
from keybearer.keys.envelope import Owner
from keybearer.keys.service import Keys
from keybearer.kit.breaker import Breakers
from keybearer.kit.breaker import Limits as BreakerLimits
from keybearer.kit.database import Database
from keybearer.kit.errors import Conflict
from keybearer.kit.listener import Listener
from keybearer.kit.outbound import Outbound
from keybearer.kit.principal import Principal
from keybearer.ledger.calls import CallWriter
from keybearer.ledger.service import Ledger
from keybearer.providers import catalogue
from keybearer.proxy.routes import routes
from keybearer.proxy.service import Limits, Proxy
from keybearer.sessions.cache import BearerCache
from keybearer.sessions.resolver import BearerResolver
from keybearer.vault.model import Connection, Credential
from keybearer_sandbox.testing import RunningSandbox
from sqlalchemy import text

TENANT = UUID("00000000-0000-7000-8000-000000000001")
LIMITS = Limits(body_bytes=3 * 1024 * 1024, answer_seconds=0.5)


class StandInVault:
    """Holds connections, hands out the token that a test gave each, and takes a fresh one from the test at refresh."""

    def __init__(self) -> None:
        self.connections: dict[UUID, Connection] = {}
        self.credentials: dict[UUID, Credential] = {}
        self.fresh: dict[UUID, list[str]] = {}
        self.refreshes = 0
        self.refusal: Exception | None = None

    async def list_connections(self, principal: Principal) -> list[Connection]:
        return [one for one in self.connections.values() if one.user_id == principal.user_id]

    async def access_token(self, tenant_id: UUID, connection_id: UUID) -> Credential:
        assert tenant_id == TENANT
        if self.refusal is not None:
            raise self.refusal
        return self.credentials[connection_id]

    async def refresh_now(self, tenant_id: UUID, connection_id: UUID, *, seen_epoch: int | None = None) -> Credential:
        old = self.credentials[connection_id]
        assert (tenant_id, seen_epoch) == (TENANT, old.epoch)
        self.refreshes += 1
        if not self.fresh.get(connection_id):
            raise Conflict("connection_not_refreshable", "There is nothing to refresh with.")
        self.credentials[connection_id] = _with_token(old, self.fresh[connection_id].pop(0), old.epoch + 1)
        return self.credentials[connection_id]

    def used(self, tenant_id: UUID, connection_id: UUID) -> None:
        assert (tenant_id, connection_id in self.connections) == (TENANT, True)


@dataclass
class World:
    """Everything that a test of the proxy touches. `call` makes one request with the person's usual grant."""

    db: Database
    keys: Keys
    grants: Grants
    vault: StandInVault
    calls: CallWriter
    resolver: BearerResolver
    breakers: Breakers
    last_use: LastUse
    principal: Principal
    url: str = ""
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    async def connect(self, provider: str, token: str, scopes: tuple[str, ...] = ()) -> UUID:
        """A connection of the person's with this access token; answers its id."""
        owner = Owner.user(TENANT, self.principal.user_id)
        connection_id = uuid4()
        async with self.db.transaction(TENANT) as tx:
            key = await self.keys.ensure(tx, owner)
            await tx.execute(
                text(
                    "INSERT INTO connections (tenant_id, id, user_id, provider, account_id, account_name, state, "
                    "scopes, dek_id) "
                    "VALUES (:tenant, :id, :person, :provider, :account, 'alice', 'active', :scopes, :dek)"
                ),
                {
                    "tenant": TENANT,
                    "id": connection_id,
                    "person": self.principal.user_id,
                    "provider": provider,
                    "account": str(connection_id),
                    "scopes": list(scopes),
                    "dek": key.id,
                },
            )
        self.vault.connections[connection_id] = Connection(
            id=connection_id,
            tenant_id=TENANT,
            user_id=self.principal.user_id,
            provider=provider,
            account_id=str(connection_id),
            account_name="alice",
            state="active",
            state_reason=None,
            scopes=scopes,
            access_expires_at=None,
            grant_expires_at=None,
            last_used_at=None,
            created_at=datetime.now(UTC),
            epoch=1,
            dek_id=key.id,
        )
        self.vault.credentials[connection_id] = Credential(
            connection_id=connection_id,
            user_id=self.principal.user_id,
            provider=provider,
            account_name="alice",
            scopes=scopes,
            epoch=1,
            expires_at=None,
            header="Authorization",
            value=f"Bearer {token}",
            key=key,
        )
        return connection_id

    async def grant(self, *connections: UUID, scopes: list[str] | None = None, seconds: int = 3600) -> str:
        wish = Wish(agent="DJ", connections=connections, scopes=scopes, ttl_seconds=seconds)
        return (await self.grants.create(self.principal, wish))[2]

    def client(self, grant: str | None, **headers: str) -> httpx2.AsyncClient:
        """Of the agent; nothing of its own is added but the grant."""
        bearer = {"Authorization": f"Bearer {grant}".encode()} if grant is not None else {}
        named = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
        client = httpx2.AsyncClient(
            base_url=f"{self.url}/api/proxy", headers={**bearer, **named}, trust_env=False, verify=NO_CERTIFICATES
        )
        self.clients.append(client)
        return client

    async def ledger(self, action: str) -> list[dict[str, object]]:
        """Its rows, oldest first, once every call that ended is written."""
        await self.calls.stop()
        await self.calls.start()
        async with self.db.transaction(TENANT) as tx:
            rows = (await tx.execute(text("SELECT * FROM ledger WHERE action = :a ORDER BY id"), {"a": action})).all()
        return [row._asdict() for row in rows]


def _with_token(old: Credential, token: str, epoch: int) -> Credential:
    return Credential(
        connection_id=old.connection_id,
        user_id=old.user_id,
        provider=old.provider,
        account_name=old.account_name,
        scopes=old.scopes,
        epoch=epoch,
        expires_at=None,
        header=old.header,
        value=f"Bearer {token}",
        key=old.key,
    )


@pytest.fixture
def sandboxed(tmp_path: Path, sandbox: RunningSandbox) -> RunningSandbox:
    """The sandbox, with the catalogue pointing to it."""
    sandbox_files.write_provider_files(tmp_path / "providers", sandbox.url)
    return sandbox


@pytest.fixture
async def world(db: Database, sandboxed: RunningSandbox, upstream: "Upstream", tmp_path: Path) -> AsyncIterator[World]:
    keys = Keys(keyring.load(_keyring(tmp_path / "keyring")))
    await keys.start(db)
    listener = Listener(db.connect, db.announce)
    cache = BearerCache(fresh=lambda: listener.fresh, clock=time.monotonic, wall=time.time)
    listener.subscribe(cache)
    listener.start()
    await _until_fresh(listener)
    vault, ledger, events, calls = StandInVault(), Ledger(db, keys), Events(db), CallWriter(db, keys)
    await calls.start()
    known = catalogue.load(tmp_path / "providers")
    outbound = Outbound(
        {address for provider in known.values() for address in provider.allow_addresses}, tls=NO_CERTIFICATES
    )
    world = World(
        db=db,
        keys=keys,
        grants=Grants(db, vault, ledger, events),
        vault=vault,
        calls=calls,
        resolver=BearerResolver(db, cache),
        breakers=Breakers(limits=BreakerLimits(failures=3, first=60.0)),
        last_use=LastUse(db),
        principal=await _person(db),
    )
    proxy = Proxy(
        db,
        known,
        world.resolver,
        vault,
        calls,
        ledger,
        world.last_use,
        world.breakers,
        outbound.client(),
        limits=LIMITS,
    )
    async with serving(proxy) as world.url:
        yield world
        for client in world.clients:
            await client.aclose()
    await outbound.aclose()
    await calls.stop()
    await listener.stop()


@asynccontextmanager
async def serving(proxy: Proxy) -> AsyncIterator[str]:
    app = FastAPI()
    problems.install(app)
    app.include_router(routes(proxy), prefix="/api")
    # With its protocol named, asyncio switches Nagle's delay off on what it accepts, as uvloop always does.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(Entry(app, secure=False), lifespan="off", log_config=None, access_log=False, ws="none")
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


class _Server(uvicorn.Server):
    """Leaves signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Upstream:
    """A server that says exactly what a test wants, byte by byte. `closed` is set when its client hung up."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.closed = asyncio.Event()
        self.arrived = asyncio.Event()
        self.script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None
        self.address = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.received.append(await reader.readuntil(b"\r\n\r\n"))
            self.arrived.set()
            assert self.script is not None
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever called is gone, which some tests are about
        finally:
            self.closed.set()
            writer.close()


@pytest.fixture
async def upstream(sandboxed: RunningSandbox, tmp_path: Path) -> AsyncIterator[Upstream]:
    """Is the provider `scripted`; `private` has the same address by a name that is not allowed."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0)
    upstream.address = "{}:{}".format(*server.sockets[0].getsockname())
    by_name = upstream.address.replace("127.0.0.1", "localhost")
    overrides = {
        "private": {"extends": "spotify", "apis": [{"base": f"http://{by_name}"}]},
        "scripted": {
            "extends": "spotify",
            "apis": [{"base": f"http://{upstream.address}"}],
            "allow_addresses": [upstream.address],
        },
    }
    for name, values in overrides.items():
        (tmp_path / "providers" / f"{name}.yaml").write_text(yaml.safe_dump(values))
    async with server:
        yield upstream


async def _until_fresh(listener: Listener) -> None:
    """As a server does before it takes requests: until then every look-up asks the database."""
    async with asyncio.timeout(10):
        while not listener.fresh:  # noqa: ASYNC110 - the listener has no event for it
            await asyncio.sleep(0.005)


async def _person(db: Database) -> Principal:
    now = datetime.now(UTC)
    person = Principal(
        tenant_id=TENANT,
        user_id=uuid4(),
        session_id=uuid4(),
        email="alice@example.com",
        name="Alice",
        avatar_url=None,
        role="member",
        tenant_name="Keybearer",
        expires_at=now + timedelta(days=1),
        authenticated_at=now,
    )
    async with db.transaction(TENANT) as tx:
        await tx.execute(
            text("INSERT INTO users (tenant_id, id, email, name) VALUES (:tenant, :id, :email, :name)"),
            {"tenant": TENANT, "id": person.user_id, "email": person.email, "name": person.name},
        )
    return person


def _keyring(folder: Path) -> Path:
    folder.mkdir()
    (folder / "primary").write_text("k1")
    (folder / "k1").write_text(base64.b64encode(os.urandom(32)).decode())
    return folder
