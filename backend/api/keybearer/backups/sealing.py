"""A file under one key that shows every change: AES-256-GCM in chunks, put in order by the STREAM construction.

(Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015.)

Layout: magic (8 bytes) | version (1 byte, 1) | length of key id (1 byte) | key id | salt (32 bytes) | chunks.
A chunk is 256 KiB of content and its tag, the last one shorter. Its nonce is its number (11 bytes) and whether it is
the last (1 byte); the header is additional data. So a chunk that was moved, repeated, cut off or taken from another
file does not open. The file's key is HKDF-SHA256 of a key-encryption key and the salt, and is used for nothing else.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keybearer.backups.errors import BackupError

_MAGIC = b"KBBACKUP"
_VERSION = 1
_SALT_BYTES = 32
_TAG_BYTES = 16
_INFO = b"kb1-backup"
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    key_id: str
    salt: bytes

    @classmethod
    def new(cls, key_id: str) -> "Header":
        return cls(key_id, os.urandom(_SALT_BYTES))

    @classmethod
    def read(cls, file: BinaryIO) -> "Header":
        """Raises BackupError for what is no archive, or one of a later format."""
        start = file.read(len(_MAGIC) + 2)
        if not start.startswith(_MAGIC) or len(start) < len(_MAGIC) + 2:
            raise BackupError("This is not an archive that `keybearer backup` made.")
        version, length = start[-2:]
        if version != _VERSION:
            raise BackupError(f"The archive has format {version}, which this version does not know. Use a newer one.")
        rest = file.read(length + _SALT_BYTES)
        try:
            header = cls(rest[:length].decode("ascii"), rest[length:])
        except UnicodeDecodeError:
            raise _damaged() from None
        if len(header.salt) != _SALT_BYTES:
            raise _damaged()
        return header

    @property
    def encoded(self) -> bytes:
        name = self.key_id.encode("ascii")
        return _MAGIC + bytes((_VERSION, len(name))) + name + self.salt

    def cipher(self, kek: bytes) -> AESGCM:
        return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=self.salt, info=_INFO).derive(kek))


class Sealer:
    """Writes the header at once. What was written is an archive only after `finish`."""

    def __init__(self, file: BinaryIO, header: Header, kek: bytes) -> None:
        self._file = file
        self._header = header.encoded
        self._cipher = header.cipher(kek)
        self._pending = bytearray()
        self._number = 0
        file.write(self._header)

    def write(self, content: bytes) -> None:
        self._pending += content
        # One chunk is kept back, because only the end shows which one is the last.
        while len(self._pending) > CHUNK_BYTES:
            self._put(bytes(self._pending[:CHUNK_BYTES]), last=False)
            del self._pending[:CHUNK_BYTES]

    def finish(self) -> None:
        self._put(bytes(self._pending), last=True)
        self._pending.clear()

    def _put(self, content: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), content, self._header))
        self._number += 1


def opened(file: BinaryIO, header: Header, kek: bytes) -> Iterator[bytes]:
    """The content after the header. Raises BackupError at the first chunk that is not what was sealed there."""
    cipher, number = header.cipher(kek), 0
    chunk = file.read(CHUNK_BYTES + _TAG_BYTES)
    while True:
        following = file.read(CHUNK_BYTES + _TAG_BYTES)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), chunk, header.encoded)
        except InvalidTag:
            if number == 0:
                raise BackupError(
                    f"The archive does not open with the key {header.key_id} of the keyring: it was changed or cut "
                    "off, or that key is another one of the same name. Take another archive, or the keyring's backup "
                    "of that time."
                ) from None
            raise _damaged() from None
        if not following:
            return
        chunk = following
        number += 1


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((last,))


def _damaged() -> BackupError:
    return BackupError("The archive was changed or cut off since it was made. Take another one.")
