"""The hash chain: what exactly is hashed and signed (rule R7). Pure, so that anybody can check it elsewhere.

Row hash:    SHA-256 over the fields of a row.
Root:        the Merkle tree hash of a batch's row hashes in the order (xid, id), as RFC 9162 section 2.1.1 builds it,
             so that one row can be proved to an auditor without showing the others.
Batch hash:  SHA-256 over the fields of a batch, of which one is the hash of the batch before it.
Signature:   Ed25519 over the batch hash.
Archived:    Where the stored ledger begins, when what was before is in files; signed over SHA-256 of its fields.

Fields are length-prefixed after a word that says their kind, so that no two different things give the same bytes. Times
are whole microseconds since 1970. A row's ciphertext is hashed as it is, so destroying its key changes nothing.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from uuid import UUID

Value = int | str | bytes | UUID | None

NO_BATCH = bytes(32)
_ROW = b"keybearer-ledger-row-1"
_BATCH = b"keybearer-ledger-batch-1"
_ARCHIVED = b"keybearer-ledger-archived-1"
_LEAF, _NODE = b"\x00", b"\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """Every column of `ledger`, in the order in which they are hashed."""

    tenant_id: UUID
    id: int
    uid: UUID
    xid: int
    era: int
    at: int
    action: str
    outcome: str
    actor_kind: str
    user_id: UUID | None
    grant_id: UUID | None
    connection_id: UUID | None
    provider: str | None
    call_id: UUID | None
    method: str | None
    status: int | None
    duration_ms: int | None
    code: str | None
    request_id: str | None
    dek_id: UUID | None
    detail: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a signature covers. In the batch are exactly the era's rows with `from_xid` <= xid < `to_xid`."""

    previous_hash: bytes
    no: int
    era: int
    from_xid: int
    to_xid: int
    count: int
    root: bytes
    sealed_at: int
    key_id: str

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(_encoded(_BATCH, astuple(self))).digest()


@dataclass(frozen=True, slots=True)
class Batch:
    seal: Seal
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """Every batch up to `no`, whose hash this is, was moved to files with its rows. Who cannot sign cannot say so."""

    no: int
    era: int
    to_xid: int
    hash: bytes
    at: int
    key_id: str
    signature: bytes = b""

    @property
    def digest(self) -> bytes:
        fields = (self.no, self.era, self.to_xid, self.hash, self.at, self.key_id)
        return hashlib.sha256(_encoded(_ARCHIVED, fields)).digest()


class Root:
    """The Merkle root of hashes that arrive one by one, in memory that grows with the logarithm of their number."""

    def __init__(self) -> None:
        self.count = 0
        self._perfect: list[tuple[int, bytes]] = []

    def add(self, row_hash: bytes) -> None:
        size, node = 1, hashlib.sha256(_LEAF + row_hash).digest()
        while self._perfect and self._perfect[-1][0] == size:
            _, left = self._perfect.pop()
            size, node = size * 2, hashlib.sha256(_NODE + left + node).digest()
        self._perfect.append((size, node))
        self.count += 1

    def digest(self) -> bytes:
        if not self._perfect:
            return hashlib.sha256().digest()
        *rest, (_, node) = self._perfect
        for _, left in reversed(rest):
            node = hashlib.sha256(_NODE + left + node).digest()
        return node


def row_hash(row: StoredRow) -> bytes:
    return hashlib.sha256(_encoded(_ROW, astuple(row))).digest()


def root_of(rows: Iterable[StoredRow]) -> bytes:
    root = Root()
    for row in rows:
        root.add(row_hash(row))
    return root.digest()


def _encoded(kind: bytes, values: Iterable[Value]) -> bytes:
    return _sized(kind) + b"".join(b"\x00" if value is None else b"\x01" + _sized(_bytes(value)) for value in values)


def _sized(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part


def _bytes(value: int | str | bytes | UUID) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, UUID):
        return value.bytes
    return str(value).encode()
