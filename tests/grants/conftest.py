"""Grants over the real database, with connections of a person put straight into it."""

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from keybearer.events.service import Events
from keybearer.grants.background import LastUse
from keybearer.grants.model import Wish
from keybearer.grants.service import Grants
from keybearer.keys import keyring
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.service import Keys
from keybearer.kit.database import Database
from keybearer.kit.listener import Listener
from keybearer.kit.principal import Principal
from keybearer.ledger.service import Ledger
from keybearer.sessions.cache import BearerCache
from keybearer.sessions.resolver import BearerResolver
from keybearer.vault.model import Connection
from sqlalchemy import text

TENANT = UUID("00000000-0000-7000-8000-000000000001")


class Held:
    """Stands for the vault: a person's connections."""

    def __init__(self) -> None:
        self.all: dict[UUID, Connection] = {}

    async def list_connections(self, principal: Principal) -> list[Connection]:
        return [one for one in self.all.values() if one.user_id == principal.user_id]


@dataclass
class Desk:
    """Where Alice and Bob ask for grants."""

    db: Database
    keys: Keys
    held: Held
    grants: Grants
    resolver: BearerResolver
    last_use: LastUse
    alice: Principal
    bob: Principal

    async def connect(self, provider: str, *scopes: str, person: Principal | None = None, name: str = "alice") -> UUID:
        person = person or self.alice
        connection_id = uuid4()
        async with self.db.transaction(TENANT) as tx:
            key = await self.keys.ensure(tx, Owner.user(TENANT, person.user_id))
            await tx.execute(
                text(
                    "INSERT INTO connections (tenant_id, id, user_id, provider, account_id, account_name, state, "
                    "scopes, dek_id) "
                    "VALUES (:tenant, :id, :person, :provider, :id_text, :name, 'active', :scopes, :dek)"
                ),
                {
                    "tenant": TENANT,
                    "id": connection_id,
                    "id_text": str(connection_id),
                    "person": person.user_id,
                    "provider": provider,
                    "name": name,
                    "scopes": list(scopes),
                    "dek": key.id,
                },
            )
        self.held.all[connection_id] = Connection(
            id=connection_id,
            tenant_id=TENANT,
            user_id=person.user_id,
            provider=provider,
            account_id=str(connection_id),
            account_name=name,
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
        return connection_id

    def put(self, connection_id: UUID, **changes: object) -> None:
        self.held.all[connection_id] = replace(self.held.all[connection_id], **changes)

    async def give(self, *connections: UUID, person: Principal | None = None, agent: str = "DJ") -> tuple[UUID, str]:
        grant, _, token = await self.grants.create(person or self.alice, Wish(agent=agent, connections=connections))
        return grant.id, token

    async def rows(self, query: str) -> list[dict[str, object]]:
        async with self.db.transaction(TENANT) as tx:
            return [row._asdict() for row in (await tx.execute(text(query))).all()]

    async def opened(self, row: dict[str, object]) -> bytes:
        """The personal detail of a row of the ledger."""
        owner = Owner.user(TENANT, UUID(str(row["user_id"])))
        async with self.db.transaction(TENANT) as tx:
            return await self.keys.open(tx, owner, Place("ledger", str(row["uid"]), "detail"), bytes(row["detail"]))


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    keys = Keys(keyring.load(_keyring(tmp_path / "keyring")))
    await keys.start(db)
    listener = Listener(db.connect, db.announce)
    cache = BearerCache(fresh=lambda: listener.fresh, clock=time.monotonic, wall=time.time)
    listener.subscribe(cache)
    listener.start()
    await _until_fresh(listener)
    held = Held()
    yield Desk(
        db=db,
        keys=keys,
        held=held,
        grants=Grants(db, held, Ledger(db, keys), Events(db)),
        resolver=BearerResolver(db, cache),
        last_use=LastUse(db),
        alice=await _person(db, "Alice"),
        bob=await _person(db, "Bob"),
    )
    await listener.stop()


async def _until_fresh(listener: Listener) -> None:
    """As a server does before it takes requests: until then every look-up asks the database."""
    async with asyncio.timeout(10):
        while not listener.fresh:  # noqa: ASYNC110 - the listener has no event for it
            await asyncio.sleep(0.005)


async def _person(db: Database, name: str) -> Principal:
    now = datetime.now(UTC)
    person = Principal(
        tenant_id=TENANT,
        user_id=uuid4(),
        session_id=uuid4(),
        email=f"{name.lower()}@example.com",
        name=name,
        avatar_url=None,
        role="member",
        tenant_name="Keybearer",
        expires_at=now + timedelta(days=1),
        authenticated_at=now,
    )
    async with db.transaction(TENANT) as tx:
        await tx.execute(
            text("INSERT INTO users (tenant_id, id, email, name) VALUES (:tenant, :id, :email, :name)"),
            {"tenant": TENANT, "id": person.user_id, "email": person.email, "name": name},
        )
    return person


def _keyring(folder: Path) -> Path:
    folder.mkdir()
    (folder / "primary").write_text("k1")
    (folder / "k1").write_text(base64.b64encode(os.urandom(32)).decode())
    return folder
