"""An installation for each test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from backups.world import World, make_keys
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
    await owner.close()


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
