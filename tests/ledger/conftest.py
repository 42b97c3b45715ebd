"""A ledger over the database of the test, with keys of its own."""

import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from keybearer.keys import keyring, signing
from keybearer.keys.envelope import Owner, WrappedKey
from keybearer.keys.service import Keys
from keybearer.keys.signing import SigningKeyring
from keybearer.kit.database import Database
from keybearer.ledger.background import Sealer, StoredBooks
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger

TENANT = UUID("00000000-0000-7000-8000-000000000001")


@pytest.fixture
def key_folders(tmp_path: Path) -> tuple[Path, Path]:
    """Directories of a keyring and of a signing keyring."""
    keks, signers = tmp_path / "keyring", tmp_path / "signing"
    for folder in (keks, signers):
        folder.mkdir()
    (keks / "primary").write_text("k1")
    (keks / "k1").write_text(base64.b64encode(os.urandom(32)).decode())
    (signers / "primary").write_text("s1")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (signers / "s1").write_bytes(pem)
    return keks, signers


@pytest.fixture
async def keys(db: Database, key_folders: tuple[Path, Path]) -> Keys:
    keys = Keys(keyring.load(key_folders[0]))
    await keys.start(db)
    return keys


@pytest.fixture
def signers(key_folders: tuple[Path, Path]) -> SigningKeyring:
    return signing.load(key_folders[1])


@pytest.fixture
def ledger(db: Database, keys: Keys) -> Ledger:
    return Ledger(db, keys)


@pytest.fixture
async def person(db: Database, keys: Keys) -> UUID:
    """Somebody who registered, and so has a data key."""
    person = uuid4()
    async with db.transaction(TENANT) as tx:
        await keys.ensure(tx, Owner.user(TENANT, person))
    return person


@pytest.fixture
async def key(db: Database, keys: Keys, person: UUID) -> WrappedKey:
    """The data key of `person`."""
    async with db.transaction(TENANT) as tx:
        return await keys.ensure(tx, Owner.user(TENANT, person))


@pytest.fixture
async def superuser(database) -> AsyncIterator["asyncpg.Connection"]:
    connection = await asyncpg.connect(database.superuser_url, server_settings={"search_path": "keybearer"})
    yield connection
    await connection.close()


@pytest.fixture
async def other_tenant(superuser: "asyncpg.Connection") -> UUID:
    other = uuid4()
    await superuser.execute("INSERT INTO tenants (id, slug, name) VALUES ($1, 'other', 'Other')", other)
    return other


@pytest.fixture
def sealer(db: Database, signers: SigningKeyring) -> Sealer:
    return Sealer(db, signers)


@pytest.fixture
def record(ledger: Ledger, db: Database, person: UUID) -> Callable[..., Awaitable[None]]:
    """Records an entry for each number, all in one transaction."""

    async def record(*numbers: int) -> None:
        async with db.transaction(TENANT) as tx:
            for number in numbers:
                detail = {"agent": f"bot {number}"}
                await ledger.record(tx, Entry(tenant_id=TENANT, action="grant.created", user_id=person, detail=detail))

    return record


@pytest.fixture
async def books(db: Database, record: Callable[..., Awaitable[None]], sealer: Sealer) -> StoredBooks:
    """Four batches of three rows, each row a transaction of its own."""
    for _ in range(4):
        for number in range(3):
            await record(number)
        assert await sealer.seal() is not None
    return StoredBooks(db)
