"""What touches the data keys of every tenant: the proof that the keyring fits, the count of a rotation, the rewrap."""

import asyncio
from collections.abc import Callable

from prometheus_client import Gauge

from keybearer.keys import store
from keybearer.keys.service import Keys
from keybearer.kit import system
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import ConfigurationError

_USER_KEYS = Gauge(
    "keybearer_user_keys", "Data keys wrapped by a key-encryption key.", ("key_id",), multiprocess_mode="livemax"
)


async def prove(db: Database, keys: Keys) -> None:
    """Opens one data key under each key-encryption key (D7). Raises ConfigurationError for a key of the wrong bytes."""
    async with system.transaction(db) as tx:
        await prove_in(tx, keys)


async def prove_in(tx: Transaction, keys: Keys) -> None:
    """The same for a transaction that sees every tenant's rows."""
    samples = await store.samples(tx)
    for owner, key in samples:
        if not keys.opens(key, owner):
            raise ConfigurationError(
                f"KEYBEARER_KEYRING_DIR: key {key.kek_id} is not the one under which stored credentials are encrypted. "
                "Restore it from the keyring backup; nothing was changed."
            )


async def measure(db: Database) -> None:
    found = await counts(db)
    _USER_KEYS.clear()
    for kek_id, count in found.items():
        _USER_KEYS.labels(kek_id).set(count)


async def rewrap(
    db: Database, keys: Keys, *, batch: int, rate: float, tell: Callable[[int, int], None] = lambda *_: None
) -> int:
    """Wraps every data key under the primary, `batch` rows a transaction and at most `rate` rows a second.

    Serves go on meanwhile: what is locked now is taken in a later round. `tell` gets how many there were and how many
    remain. Answers how many were rewrapped. Killed at any point, it goes on where it was.
    """
    primary, done = keys.keyring.primary, 0
    async with system.transaction(db) as tx:
        total = await store.count_others(tx, primary)
    tell(total, total)
    while True:
        async with system.transaction(db) as tx:
            found = await store.lock_others(tx, primary, batch)
            if found:
                await store.replace(tx, [keys.rewrap(key, owner) for owner, key in found])
            remaining = await store.count_others(tx, primary)
        done += len(found)
        tell(max(total, remaining), remaining)
        if not remaining:
            return done
        await asyncio.sleep(max(len(found), 1) / rate)


async def counts(db: Database) -> dict[str, int]:
    """Data keys under each registered key-encryption key."""
    async with system.transaction(db) as tx:
        return await store.count_by_kek(tx)


async def retire(db: Database, kek_id: str) -> bool:
    """False where it is not registered any more. Raises KeyInUse: the database itself refuses (rule R2)."""
    async with system.transaction(db) as tx:
        return await store.retire_kek(tx, kek_id)
