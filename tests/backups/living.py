"""Fixtures: a small installation of a test's own, and an empty database beside it."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from backups.world import World, make_keys, superuser
from keybearer.keys import keyring, signing
from keybearer.keys.service import Keys
from keybearer.kit.database import Database


@pytest.fixture
async def world(database: Any, db: Database, tmp_path: Path) -> AsyncIterator[World]:
    make_keys(tmp_path)
    owner = Database(database.owner_url, pool_size=2)
    world = World(
        folder=tmp_path,
        database=database,
        db=db,
        owner=owner,
        keys=Keys(keyring.load(tmp_path / "keyring")),
        signers=signing.load(tmp_path / "signing"),
    )
    await world.keys.start(db)
    yield world
    await world.close()


@pytest.fixture
async def populated(world: World) -> World:
    """Two tenants; some of the ledger is sealed and some is not yet."""
    other = uuid4()
    await world.sql("INSERT INTO tenants (id, slug, name) VALUES ($1, 'other', 'Other')", other)
    await world.person("Alice")
    await world.person("Bob")
    await world.seal()
    await world.person("Zoë", other)
    return world


@pytest.fixture
async def target(world: World, postgres_server: Any, template: Any) -> AsyncIterator[World]:
    """The same installation's keys, and an empty database without even a schema."""
    name = f"target_{secrets.token_hex(6)}"
    server = await superuser(postgres_server.superuser_dsn())
    await server.execute(f"CREATE DATABASE {name} OWNER keybearer_owner")
    urls = (template.url, template.owner_url, template.superuser_url)
    database = type(template)(name, *(url.replace(f"/{template.name}?", f"/{name}?") for url in urls))
    target = replace(
        world,
        database=database,
        db=Database(database.url),
        owner=Database(database.owner_url),
        people=[],
        _superuser=None,
    )
    yield target
    await target.close()
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()
