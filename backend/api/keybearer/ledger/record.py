"""Turns entries into rows: fills in what is known of the request, and seals what is personal."""

from dataclasses import replace
from uuid import uuid4

from keybearer.keys.envelope import Owner, Place, WrappedKey
from keybearer.keys.service import Keys
from keybearer.kit import context
from keybearer.ledger.model import Entry, Row, bounded, clean, encode_detail


def owner_of(entry: Entry) -> Owner:
    """Whose data key seals the detail."""
    if entry.user_id is None:
        return Owner.tenant(entry.tenant_id)
    return Owner.user(entry.tenant_id, entry.user_id)


def place(uid: object) -> Place:
    return Place("ledger", str(uid), "detail")


def with_address(entry: Entry) -> Entry:
    """Adds the caller's address, unless the entry says one itself."""
    address = context.request.get().address
    if address is None or "address" in entry.detail:
        return entry
    return replace(entry, detail={**entry.detail, "address": address})


def row_of(entry: Entry, keys: Keys, key: WrappedKey | None) -> Row:
    """`key` is needed where the entry has a detail."""
    uid = uuid4()
    sealed = None
    if entry.detail:
        assert key is not None, "a detail is never stored in the clear"
        sealed = keys.seal_with(key, owner_of(entry), place(uid), encode_detail(entry.detail))
    return Row(
        tenant_id=entry.tenant_id,
        uid=uid,
        action=entry.action,
        outcome=entry.outcome,
        actor_kind=entry.actor_kind,
        user_id=entry.user_id,
        grant_id=entry.grant_id,
        connection_id=entry.connection_id,
        provider=clean(entry.provider),
        call_id=entry.call_id,
        method=clean(entry.method),
        status=bounded(entry.status),
        duration_ms=bounded(entry.duration_ms),
        code=clean(entry.code),
        request_id=clean(context.request.get().request_id) or None,
        dek_id=key.id if sealed is not None and key is not None else None,
        detail=sealed,
    )
