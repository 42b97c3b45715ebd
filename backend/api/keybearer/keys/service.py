"""Seals and opens fields under the data key of their owner."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID, uuid4

import structlog

from keybearer.keys import envelope, store
from keybearer.keys.envelope import Owner, Place, WrappedKey
from keybearer.keys.errors import EnvelopeError, RetiredKey
from keybearer.keys.keyring import Keyring
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import ConfigurationError

_CACHE_SIZE = 10_000
_CACHE_SECONDS = 300.0

log = structlog.get_logger(__name__)


class Keys:
    """The data keys of people and tenants. A key whose row is gone is never used: each use starts from a row."""

    def __init__(
        self,
        keyring: Keyring,
        *,
        read: Callable[[], Keyring] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` reads the keyring again, for a key that another process knew of first."""
        self._keyring = keyring
        self._read = read
        self._monotonic = monotonic
        self._unwrapped: OrderedDict[UUID, tuple[float, bytes, bytes]] = OrderedDict()

    @property
    def keyring(self) -> Keyring:
        return self._keyring

    async def start(self, db: Database) -> None:
        """Registers the first key of an empty installation, and refuses a keyring that lacks a key in use (D7)."""
        async with db.transaction(None) as tx:
            await store.register_first_kek(tx, self._keyring.primary)
        missing = await self.missing(db)
        if missing:
            raise ConfigurationError(
                f"KEYBEARER_KEYRING_DIR lacks the key {', '.join(sorted(missing))}, under which stored credentials are "
                "encrypted. Restore it from the keyring backup; without it they cannot be read."
            )

    async def take(self, db: Database, keyring: Keyring) -> bool:
        """Goes on with another keyring, and registers its primary; False when nothing differs.

        Raises ConfigurationError, and keeps what it has, when data is encrypted under a key that would be gone.
        """
        if keyring == self._keyring:
            return False
        changed = {each for each in keyring.keys.keys() & self._keyring.keys.keys() if not self._same(keyring, each)}
        async with db.transaction(None) as tx:
            registered = await self.registered(tx)
            lost = sorted((registered - keyring.keys.keys()) | (registered & changed))
            if lost:
                raise ConfigurationError(
                    f"KEYBEARER_KEYRING_DIR lacks the key {lost[0]}, or holds other bytes under its name, and data "
                    "may be encrypted under it. Put it back; until then the keys in memory are used."
                )
            if keyring.primary not in registered:
                await store.register_kek(tx, keyring.primary)
        self._keyring = keyring
        self._unwrapped.clear()
        return True

    def _same(self, other: Keyring, key_id: str) -> bool:
        return other.keys[key_id] == self._keyring.keys[key_id]

    async def register(self, db: Database, kek_id: str) -> None:
        """Lets data keys be wrapped with it."""
        async with db.transaction(None) as tx:
            await store.register_kek(tx, kek_id)

    async def missing(self, db: Database) -> set[str]:
        """The keys that data in the database is encrypted under and that the keyring lacks."""
        async with db.transaction(None) as tx:
            return await self.registered(tx) - self._keyring.keys.keys()

    async def registered(self, tx: Transaction) -> set[str]:
        """Key-encryption keys that data may be encrypted under."""
        return await store.registered_keks(tx)

    async def ensure(self, tx: Transaction, owner: Owner) -> WrappedKey:
        """The owner's data key, made at first need."""
        found = await store.find(tx, owner)
        if found is not None:
            return found
        made = self._make(owner)
        try:
            added = await store.add(tx, owner, made)
        except RetiredKey:  # by a rotation whose new primary this process has not read yet
            if not self._read_again():
                raise
            made = self._make(owner)
            added = await store.add(tx, owner, made)
        return made if added else await self._existing(tx, owner)

    async def seal(self, tx: Transaction, owner: Owner, place: Place, plaintext: bytes) -> tuple[UUID, bytes]:
        """The id of the data key that was used, and the ciphertext."""
        key = await self.ensure(tx, owner)
        return key.id, self.seal_with(key, owner, place, plaintext)

    async def open(self, tx: Transaction, owner: Owner, place: Place, sealed: bytes) -> bytes:
        """Raises EnvelopeError when the owner's key was destroyed or the ciphertext belongs elsewhere."""
        return self.open_with(await self._existing(tx, owner), owner, place, sealed)

    def seal_with(self, key: WrappedKey, owner: Owner, place: Place, plaintext: bytes) -> bytes:
        additional = envelope.field_additional(owner, place, key.id)
        return envelope.seal(self._unwrap(key, owner), str(key.id), plaintext, additional)

    def open_with(self, key: WrappedKey, owner: Owner, place: Place, sealed: bytes) -> bytes:
        """With a wrapped key that was read in the same query as the ciphertext."""
        additional = envelope.field_additional(owner, place, key.id)
        return envelope.open_sealed(self._unwrap(key, owner), str(key.id), sealed, additional)

    def rewrap(self, key: WrappedKey, owner: Owner) -> WrappedKey:
        """The same data key under the keyring's primary; what it sealed stays as it is."""
        dek, kek_id = self._unwrap(key, owner), self._keyring.primary
        additional = envelope.dek_additional(owner, key.id, kek_id)
        return WrappedKey(key.id, kek_id, envelope.seal(self._keyring.key(kek_id), kek_id, dek, additional))

    def opens(self, key: WrappedKey, owner: Owner) -> bool:
        """Whether the keyring holds the very key that wrapped this one, and not another of the same name."""
        try:
            self._unwrap(key, owner)
        except EnvelopeError:
            return False
        return True

    async def find(self, tx: Transaction, owner: Owner) -> WrappedKey | None:
        return await store.find(tx, owner)

    async def destroy(self, tx: Transaction, owner: Owner) -> None:
        """Crypto-shredding: what was sealed under this key can never be read again."""
        await store.destroy(tx, owner)

    def notified(self, kind: str, _subject: str) -> None:
        """A person or tenant changed; their keys leave memory with everything else that was cached of them."""
        if kind in {"user", "tenant"}:
            self._unwrapped.clear()

    def disconnected(self) -> None:
        self._unwrapped.clear()

    def _make(self, owner: Owner) -> WrappedKey:
        dek_id, kek_id = uuid4(), self._keyring.primary
        additional = envelope.dek_additional(owner, dek_id, kek_id)
        dek = os.urandom(envelope.KEY_BYTES)
        return WrappedKey(dek_id, kek_id, envelope.seal(self._keyring.key(kek_id), kek_id, dek, additional))

    async def _existing(self, tx: Transaction, owner: Owner) -> WrappedKey:
        key = await store.find(tx, owner)
        if key is None:
            raise EnvelopeError("the data key was destroyed")
        return key

    def _unwrap(self, key: WrappedKey, owner: Owner) -> bytes:
        now = self._monotonic()
        cached = self._unwrapped.get(key.id)
        if cached is not None and cached[0] > now and cached[1] == key.wrapped:
            self._unwrapped.move_to_end(key.id)
            return cached[2]
        additional = envelope.dek_additional(owner, key.id, key.kek_id)
        dek = envelope.open_sealed(self._kek(key.kek_id), key.kek_id, key.wrapped, additional)
        self._unwrapped[key.id] = (now + _CACHE_SECONDS, key.wrapped, dek)
        while len(self._unwrapped) > _CACHE_SIZE:
            self._unwrapped.popitem(last=False)
        return dek

    def _kek(self, key_id: str) -> bytes:
        """Raises UnknownKey, after a look at the keyring: another process may have been told of the key first."""
        if key_id not in self._keyring.keys:
            self._read_again()
        return self._keyring.key(key_id)

    def _read_again(self) -> bool:
        """Whether there was something new. What a change would take away waits for `take`, which asks the database."""
        if self._read is None:
            return False
        try:
            keyring = self._read()
        except ConfigurationError as error:
            log.warning("keys.keyring.unreadable", reason=str(error))
            return False
        if keyring == self._keyring or not keyring.extends(self._keyring):
            return False
        self._keyring = keyring
        return True
