"""Counts data keys by key-encryption key: what a rotation still has to rewrap."""

from prometheus_client import Gauge

from keybearer.keys import store
from keybearer.kit import system
from keybearer.kit.database import Database

_USER_KEYS = Gauge(
    "keybearer_user_keys", "Data keys wrapped by a key-encryption key.", ("key_id",), multiprocess_mode="livemax"
)


async def measure(db: Database) -> None:
    async with system.transaction(db) as tx:
        counts = await store.count_by_kek(tx)
    _USER_KEYS.clear()
    for kek_id, count in counts.items():
        _USER_KEYS.labels(kek_id).set(count)
