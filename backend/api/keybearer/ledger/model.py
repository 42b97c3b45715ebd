"""What the ledger records and what readers may ask for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

ActorKind = Literal["person", "agent", "system"]
Outcome = Literal["ok", "denied", "failed", "pending", "unknown"]

CALL = "proxy.call"
# A call whose end was not recorded by then has an outcome that nobody knows: its process was killed.
FINISH_WITHIN = timedelta(minutes=15)

_TEXT_LIMIT = 4096
_INT_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened.

    `detail` is personal (address, reason, account, agent, path, device) and is sealed under the person's data key, or
    the tenant's where no person is known; everything else stays readable after an erasure and so must not name anybody.
    """

    tenant_id: UUID
    action: str
    outcome: Outcome = "ok"
    actor_kind: ActorKind = "person"
    user_id: UUID | None = None
    grant_id: UUID | None = None
    connection_id: UUID | None = None
    provider: str | None = None
    call_id: UUID | None = None
    method: str | None = None
    status: int | None = None
    duration_ms: int | None = None
    code: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An entry as it is inserted; the database adds id, transaction, era and time."""

    tenant_id: UUID
    uid: UUID
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
class Query:
    """Which entries a reader wants. `action` means itself and its family: `proxy` finds `proxy.call`."""

    action: str | None = None
    provider: str | None = None
    connection_id: UUID | None = None
    user_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One entry as a reader sees it: opened, and a call together with how it ended."""

    id: int
    at: datetime
    action: str
    outcome: str
    actor_kind: str
    user_id: UUID | None
    user_name: str | None
    grant_id: UUID | None
    connection_id: UUID | None
    provider: str | None
    method: str | None
    status: int | None
    duration_ms: int | None
    code: str | None
    request_id: str | None
    detail: Mapping[str, object] | None
    batch: int | None

    def text(self, name: str) -> str | None:
        """A member of the detail that is a text."""
        value = (self.detail or {}).get(name)
        return value if isinstance(value, str) else None


def clean(value: str | None) -> str | None:
    """What PostgreSQL can store: no NUL, no lone surrogates, no megabytes from a stranger's header."""
    if value is None:
        return None
    return value[:_TEXT_LIMIT].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def bounded(value: int | None) -> int | None:
    return None if value is None else max(-_INT_LIMIT, min(_INT_LIMIT, value))


def encode_detail(detail: Mapping[str, object]) -> bytes:
    kept = {
        name: value[:_TEXT_LIMIT] if isinstance(value, str) else value
        for name, value in detail.items()
        if value is not None
    }
    return json.dumps(kept, separators=(",", ":"), default=str).encode()


def decode_detail(plaintext: bytes) -> dict[str, object]:
    decoded = json.loads(plaintext)
    return decoded if isinstance(decoded, dict) else {}


def outcome_now(action: str, outcome: str, at: datetime, now: datetime) -> str:
    """A call that never finished is pending for a while and then unknown."""
    if action == CALL and outcome == "pending" and now - at > FINISH_WITHIN:
        return "unknown"
    return outcome
