"""The newest batch in a form to keep elsewhere: with it, even a cut-off end of the ledger is noticed."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keybearer.kit.errors import BadInput
from keybearer.ledger.chain import Batch

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    no: int
    hash: bytes
    key_id: str
    signature: bytes


def instant(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND


def micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def public_form(batch: Batch) -> dict[str, object]:
    """JSON members; bytes are hexadecimal. Transaction ids are texts, because they pass 2^53."""
    seal = batch.seal
    return {
        "no": seal.no,
        "era": seal.era,
        "from_xid": str(seal.from_xid),
        "to_xid": str(seal.to_xid),
        "count": seal.count,
        "root": seal.root.hex(),
        "previous_hash": seal.previous_hash.hex(),
        "hash": seal.hash.hex(),
        "sealed_at": instant(seal.sealed_at).isoformat().replace("+00:00", "Z"),
        "key_id": seal.key_id,
        "signature": batch.signature.hex(),
    }


def read(content: str) -> list[Checkpoint]:
    """From the answer of `GET /api/ledger/checkpoint`, or from log lines; lines about other things are passed over.

    Raises BadInput when there is no checkpoint in it.
    """
    found = [checkpoint for document in _documents(content) if (checkpoint := _checkpoint(document)) is not None]
    if not found:
        raise BadInput(
            "checkpoint_unreadable", "The file holds no checkpoint. Save what GET /api/ledger/checkpoint answers."
        )
    return found


def _documents(content: str) -> list[object]:
    try:
        return [json.loads(content)]
    except ValueError:
        return [document for line in content.splitlines() if (document := _parsed(line)) is not None]


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _checkpoint(document: object) -> Checkpoint | None:
    if not isinstance(document, dict):
        return None
    try:
        return Checkpoint(
            no=int(document["no"]),
            hash=bytes.fromhex(document["hash"]),
            key_id=str(document["key_id"]),
            signature=bytes.fromhex(document["signature"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
