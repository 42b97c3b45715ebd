"""What looks at the data keys of every tenant: the proof that the keyring fits, and the count that a rotation needs."""

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
    async with system.transaction(db) as tx:
        counts = await store.count_by_kek(tx)
    _USER_KEYS.clear()
    for kek_id, count in counts.items():
        _USER_KEYS.labels(kek_id).set(count)
