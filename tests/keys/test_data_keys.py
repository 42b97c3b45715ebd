"""Data keys in the database: one an owner, destroyed for good, and no way back for a retired key-encryption key."""

import asyncio
import os
from uuid import uuid4

import pytest
import sqlalchemy
from keybearer.keys import background
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.errors import EnvelopeError, RetiredKey
from keybearer.keys.keyring import Keyring
from keybearer.keys.service import Keys
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError
from keybearer.tenancy.model import DEFAULT_ID as TENANT

PLACE = Place("connections", "row", "access_token")
RING = Keyring(keys={"k1": os.urandom(32), "k2": os.urandom(32)}, primary="k1")


@pytest.fixture
async def keys(db: Database) -> Keys:
    keys = Keys(RING)
    await keys.start(db)
    return keys


def person() -> Owner:
    return Owner.user(TENANT, uuid4())


async def test_a_sealed_field_opens_in_another_process(db: Database, keys: Keys) -> None:
    owner = person()
    async with db.transaction(TENANT) as tx:
        _, sealed = await keys.seal(tx, owner, PLACE, b"token")
    async with db.transaction(TENANT) as tx:
        assert await Keys(RING).open(tx, owner, PLACE, sealed) == b"token"


async def test_two_first_uses_at_once_make_one_key(db: Database, keys: Keys) -> None:
    owner = person()

    async def use() -> object:
        async with db.transaction(TENANT) as tx:
            return (await keys.ensure(tx, owner)).id

    assert len({await one for one in asyncio.as_completed([use() for _ in range(6)])}) == 1


async def test_nothing_opens_after_the_key_was_destroyed(db: Database, keys: Keys) -> None:
    owner = person()
    async with db.transaction(TENANT) as tx:
        _, sealed = await keys.seal(tx, owner, PLACE, b"token")
        await keys.destroy(tx, owner)
    async with db.transaction(TENANT) as tx:
        with pytest.raises(EnvelopeError):
            await keys.open(tx, owner, PLACE, sealed)


async def test_a_wrapped_key_copied_to_another_person_does_not_open(db: Database, keys: Keys) -> None:
    mine, theirs = person(), person()
    async with db.transaction(TENANT) as tx:
        _, sealed = await keys.seal(tx, mine, PLACE, b"token")
        key = await keys.find(tx, mine)
    assert key is not None
    with pytest.raises(EnvelopeError):
        Keys(RING).open_with(key, theirs, PLACE, sealed)


async def test_a_key_in_use_cannot_be_retired_and_a_retired_one_not_used(db: Database, keys: Keys, database) -> None:
    async with db.transaction(TENANT) as tx:
        await keys.ensure(tx, person())
    delete = sqlalchemy.text("DELETE FROM keks WHERE id = 'k1'")
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        async with db.transaction(None) as tx:
            await tx.execute(delete)
    async with db.transaction(TENANT) as tx:
        await tx.execute(sqlalchemy.text("DELETE FROM data_keys"))
    async with db.transaction(None) as tx:
        await tx.execute(delete)
    with pytest.raises(RetiredKey):
        async with db.transaction(TENANT) as tx:
            await keys.ensure(tx, person())


async def test_a_key_of_the_right_name_and_the_wrong_bytes_does_not_start(db: Database, keys: Keys) -> None:
    await background.prove(db, keys)
    async with db.transaction(TENANT) as tx:
        await keys.ensure(tx, person())
    await background.prove(db, Keys(RING))
    with pytest.raises(ConfigurationError, match="key k1 is not the one"):
        await background.prove(db, Keys(Keyring(keys={"k1": os.urandom(32)}, primary="k1")))


async def test_a_keyring_that_lacks_a_key_in_use_does_not_start(db: Database, keys: Keys) -> None:
    with pytest.raises(ConfigurationError, match="lacks the key k1"):
        await Keys(Keyring(keys={"k2": RING.keys["k2"]}, primary="k2")).start(db)
