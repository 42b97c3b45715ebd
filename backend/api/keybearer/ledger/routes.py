"""People read what was done in their name."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from keybearer.http.principal import current_principal
from keybearer.http.schemas import Page, Wire, problems
from keybearer.kit.errors import BadInput
from keybearer.kit.principal import Principal
from keybearer.ledger import model
from keybearer.ledger.checkpoint import public_form
from keybearer.ledger.model import Item
from keybearer.ledger.reading import Reading

Caller = Annotated[Principal, Depends(current_principal)]

_WORDS = r"^[a-z0-9_]{1,40}(\.[a-z0-9_]{1,40}){0,3}(\.\*)?$"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_LIFTED = ("address", "path", "reason")
_EXAMPLE: JsonDict = {
    "id": "4711",
    "at": "2026-11-22T18:03:11.482Z",
    "action": "proxy.call",
    "outcome": "ok",
    "actor": {"kind": "agent", "id": "0198a7c2-3f61-7c55-b1f0-8f0d3a9e2b11", "name": "DJ"},
    "person": {"id": "0198a7c0-11aa-7d0e-9b4c-2f1f6f6c9d20", "name": "Alice"},
    "provider": "spotify",
    "connection": {"id": "0198a7c1-9e0b-7a43-8d17-64c1f0b0a7d3", "account": "alice"},
    "grant": "0198a7c2-3f61-7c55-b1f0-8f0d3a9e2b11",
    "method": "PUT",
    "path": "/v1/me/player/play",
    "status": 204,
    "duration_ms": 87,
    "reason": "Play Despacito",
    "code": None,
    "request_id": "req_0198a7c2",
    "address": "203.0.113.9",
    "detail": {"agent": "DJ"},
    "sealed": True,
    "batch": 312,
}


_CHECKPOINT: JsonDict = {
    "no": 312,
    "era": 1,
    "from_xid": "90210",
    "to_xid": "90377",
    "count": 41,
    "root": "8f0e4d3c2b1a09f8e7d6c5b4a3928170",
    "previous_hash": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "hash": "102132435465768798a9bacbdcedfe0f",
    "sealed_at": "2026-11-22T18:03:12Z",
    "key_id": "k1",
    "signature": "c2lnbmF0dXJl",
}


class Actor(Wire):
    """Who did it. `name` is null once the person was erased."""

    kind: Literal["person", "agent", "system"]
    id: UUID | None
    name: str | None


class Person(Wire):
    """On whose behalf."""

    id: UUID
    name: str | None


class UsedConnection(Wire):
    id: UUID
    account: str | None


class EntryWire(Wire):
    """One thing that happened. `detail` is null where the person's data was erased; the entry itself stays."""

    model_config = ConfigDict(title="LedgerEntry", json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    at: datetime
    action: str
    outcome: Literal["ok", "denied", "failed", "pending", "unknown"]
    actor: Actor
    person: Person | None
    provider: str | None
    connection: UsedConnection | None
    grant: UUID | None
    method: str | None
    path: str | None
    status: int | None
    duration_ms: int | None
    reason: str | None
    code: str | None
    request_id: str | None
    address: str | None
    detail: dict[str, object] | None
    sealed: bool = Field(description="Whether a signed batch holds it; entries are sealed within seconds.")
    batch: int | None


class CheckpointWire(Wire):
    """The newest signed batch. Keep it elsewhere: with it, `keybearer ledger verify` sees a cut-off end."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHECKPOINT]})

    no: int
    era: int
    from_xid: str
    to_xid: str
    count: int
    root: str
    previous_hash: str
    hash: str
    sealed_at: datetime
    key_id: str
    signature: str


def routes(reading: Reading) -> APIRouter:
    router = APIRouter(tags=["ledger"])

    @router.get("/ledger", responses=problems(401, 403, 422), summary="What was done, newest first")
    async def list_entries(
        principal: Caller,
        after: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        action: Annotated[
            str | None, Query(pattern=_WORDS, description="An action or its family: `proxy` finds `proxy.call`.")
        ] = None,
        provider: Annotated[str | None, Query(pattern=_NAME)] = None,
        connection: UUID | None = None,
        person: Annotated[UUID | None, Query(description="Somebody else's only for admins.")] = None,
        since: Annotated[datetime | None, Query(alias="from", description="At this time or later.")] = None,
        until: Annotated[datetime | None, Query(alias="to", description="Before this time.")] = None,
    ) -> Page[EntryWire]:
        query = model.Query(
            action=action.removesuffix(".*") if action else None,
            provider=provider,
            connection_id=connection,
            user_id=person,
            since=_utc(since, "from"),
            until=_utc(until, "to"),
        )
        items, following = await reading.list_own(principal, query, after=after, limit=limit)
        return Page(items=[entry_wire(item) for item in items], next=following)

    @router.get("/ledger/checkpoint", responses=problems(401, 404), summary="The newest signed batch")
    async def read_checkpoint(_principal: Caller) -> CheckpointWire:
        return CheckpointWire.model_validate(public_form(await reading.checkpoint()))

    @router.get("/ledger/{entry_id}", responses=problems(401, 404), summary="One entry")
    async def read_entry(entry_id: str, principal: Caller) -> EntryWire:
        return entry_wire(await reading.get(principal, entry_id))

    return router


def _utc(at: datetime | None, name: str) -> datetime | None:
    """Without an offset it is UTC."""
    if at is None:
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise BadInput(
            "request_invalid", f"`{name}` is not a time that can be. Use the form 2026-11-22T18:00:00Z."
        ) from None


def entry_wire(item: Item) -> EntryWire:
    return EntryWire.model_validate(
        {
            "id": str(item.id),
            "at": item.at,
            "action": item.action,
            "outcome": item.outcome,
            "actor": _actor(item),
            "person": {"id": item.user_id, "name": item.user_name} if item.user_id else None,
            "provider": item.provider,
            "connection": {"id": item.connection_id, "account": item.text("account")} if item.connection_id else None,
            "grant": item.grant_id,
            "method": item.method,
            "path": item.text("path"),
            "status": item.status,
            "duration_ms": item.duration_ms,
            "reason": item.text("reason"),
            "code": item.code,
            "request_id": item.request_id,
            "address": item.text("address"),
            "detail": None
            if item.detail is None
            else {name: value for name, value in item.detail.items() if name not in _LIFTED},
            "sealed": item.batch is not None,
            "batch": item.batch,
        }
    )


def _actor(item: Item) -> dict[str, object]:
    if item.actor_kind == "agent":
        return {"kind": "agent", "id": item.grant_id, "name": item.text("agent")}
    if item.actor_kind == "person":
        return {"kind": "person", "id": item.user_id, "name": item.user_name}
    return {"kind": "system", "id": None, "name": None}
