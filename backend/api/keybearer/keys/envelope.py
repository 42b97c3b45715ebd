"""AES-256-GCM with the place of the ciphertext bound into it (NIST SP 800-38D, rule R2).

Layout: version (1 byte, 1) | length of key id (1 byte) | key id | nonce (12 bytes) | ciphertext and tag.
The additional data is length-prefixed, so that no two lists of parts give the same bytes.
"""

import os
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keybearer.keys.errors import EnvelopeError

KEY_BYTES = 32
_VERSION = 1
_NONCE_BYTES = 12
_TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose data key seals a value: a person's or a tenant's."""

    tenant_id: UUID
    kind: str
    id: UUID

    @classmethod
    def user(cls, tenant_id: UUID, user_id: UUID) -> "Owner":
        return cls(tenant_id, "user", user_id)

    @classmethod
    def tenant(cls, tenant_id: UUID) -> "Owner":
        return cls(tenant_id, "tenant", tenant_id)


@dataclass(frozen=True, slots=True)
class Place:
    """The one column of one row where a ciphertext belongs."""

    table: str
    row_id: str
    column: str


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored: encrypted under the key-encryption key `kek_id`."""

    id: UUID
    kek_id: str
    wrapped: bytes = field(repr=False)


def seal(key: bytes, key_id: str, plaintext: bytes, additional: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    name = key_id.encode()
    header = bytes((_VERSION, len(name))) + name
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + additional)


def open_sealed(key: bytes, key_id: str, sealed: bytes, additional: bytes) -> bytes:
    """Raises EnvelopeError for whatever `seal` did not make with the same key, id and additional data."""
    name = key_id.encode()
    header = bytes((_VERSION, len(name))) + name
    if not sealed.startswith(header) or len(sealed) < len(header) + _NONCE_BYTES + _TAG_BYTES:
        raise EnvelopeError("the ciphertext was not sealed with this key")
    nonce = sealed[len(header) : len(header) + _NONCE_BYTES]
    try:
        return AESGCM(key).decrypt(nonce, sealed[len(header) + _NONCE_BYTES :], header + additional)
    except InvalidTag:
        raise EnvelopeError("the ciphertext was changed or belongs elsewhere") from None


def field_additional(owner: Owner, place: Place, dek_id: UUID) -> bytes:
    """What binds a field: moving a ciphertext to any other place makes it unreadable."""
    return _lengths_and_parts(
        "kb1", place.table, str(owner.tenant_id), owner.kind, str(owner.id), place.row_id, place.column, str(dek_id)
    )


def dek_additional(owner: Owner, dek_id: UUID, kek_id: str) -> bytes:
    """What binds a wrapped data key; rotating the key-encryption key changes this and no field."""
    return _lengths_and_parts("kb1-dek", str(owner.tenant_id), owner.kind, str(owner.id), str(dek_id), kek_id)


def _lengths_and_parts(*parts: str) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
