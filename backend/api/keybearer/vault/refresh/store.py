"""The lease, the journal and the compare-and-swap of a refresh. Time is the database's alone."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Row, text

from keybearer.kit.database import Transaction

_CLAIM = text(
    """
    UPDATE connections
       SET lease_owner = :owner, lease_epoch = lease_epoch + 1,
           lease_until = clock_timestamp() + make_interval(secs => :seconds)
     WHERE tenant_id = :tenant AND id = :id AND epoch = :seen AND state = 'active'
       AND (lease_until < clock_timestamp() OR lease_owner = :owner)
    RETURNING user_id, provider, account_name, scopes, refresh_token, lease_epoch, unverified
    """
)
# A journal row without an end: whoever began may have sent the token, so what the provider did is not known.
_ORPHANS = text(
    """
    UPDATE refresh_journal SET finished_at = clock_timestamp(), outcome = 'unknown'
     WHERE tenant_id = :tenant AND connection_id = :id AND epoch = :seen AND finished_at IS NULL
    """
)
_UNKNOWN_BEFORE = text(
    """
    SELECT EXISTS (SELECT FROM refresh_journal
     WHERE tenant_id = :tenant AND connection_id = :id AND epoch = :seen AND outcome = 'unknown')
    """
)
_BEGIN = text(
    """
    INSERT INTO refresh_journal (tenant_id, id, connection_id, epoch, lease_epoch)
    VALUES (:tenant, :journal, :id, :seen, :lease)
    """
)
_EXTEND = text(
    """
    UPDATE connections SET lease_until = clock_timestamp() + make_interval(secs => :seconds)
     WHERE tenant_id = :tenant AND id = :id AND epoch = :seen AND lease_epoch = :lease AND state = 'active'
    """
)
_LOOK = text(
    """
    SELECT c.epoch, c.state, c.lease_epoch, c.lease_until < clock_timestamp() AS free,
           (SELECT j.outcome FROM refresh_journal j
             WHERE j.tenant_id = c.tenant_id AND j.connection_id = c.id AND j.epoch = :seen
               AND j.lease_epoch = c.lease_epoch) AS outcome
      FROM connections c WHERE c.tenant_id = :tenant AND c.id = :id
    """
)
_STORE = text(
    """
    UPDATE connections
       SET access_token = :access_token, access_expires_at = :expires_at,
           refresh_token = coalesce(:refresh_token, refresh_token), id_token = coalesce(:id_token, id_token),
           scopes = :scopes, state_reason = coalesce(:reason, state_reason), epoch = epoch + 1,
           unverified = false, lease_until = '-infinity', updated_at = now()
     WHERE tenant_id = :tenant AND id = :id AND epoch = :seen AND lease_epoch = :lease AND state = 'active'
    """
)
_REJECT = text(
    """
    UPDATE connections
       SET state = 'needs_reconnect', state_reason = :reason, unverified = false, lease_until = '-infinity',
           updated_at = now()
     WHERE tenant_id = :tenant AND id = :id AND epoch = :seen AND lease_epoch = :lease AND state = 'active'
    """
)
_RELEASE = text(
    "UPDATE connections SET lease_until = '-infinity' WHERE tenant_id = :tenant AND id = :id AND lease_epoch = :lease"
)
_FINISH = text(
    """
    UPDATE refresh_journal SET finished_at = clock_timestamp(), outcome = :outcome
     WHERE tenant_id = :tenant AND id = :journal AND finished_at IS NULL
    """
)
_OUTCOME = text("SELECT outcome FROM refresh_journal WHERE tenant_id = :tenant AND id = :journal")
_FORGET = text(
    """
    DELETE FROM refresh_journal j USING connections c
     WHERE c.tenant_id = j.tenant_id AND c.id = j.connection_id
       AND j.epoch < c.epoch AND j.finished_at < clock_timestamp() - interval '7 days'
    """
)

STORED = "stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to refresh one connection once: `seen` and `epoch` are the fence that a late holder runs into.

    `unverified`: the refresh token came out of a backup, and may have been rotated away since.
    """

    tenant_id: UUID
    connection_id: UUID
    journal_id: UUID
    seen: int
    epoch: int
    user_id: UUID
    provider: str
    account_name: str
    scopes: tuple[str, ...]
    refresh_token: bytes | None = field(repr=False)
    after_unknown: bool
    unverified: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What a process without the lease sees. `outcome` is of the latest lease, None while that one is at work."""

    epoch: int
    state: str
    lease_epoch: int
    free: bool
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """The sealed columns of an answer; a None among the last two keeps what is there."""

    access_token: bytes = field(repr=False)
    refresh_token: bytes | None = field(repr=False)
    id_token: bytes | None = field(repr=False)
    expires_at: datetime | None
    scopes: tuple[str, ...]
    reason: str | None


async def claim(
    tx: Transaction, tenant_id: UUID, connection_id: UUID, *, seen: int, owner: str, seconds: float
) -> Lease | None:
    """None while another process holds the lease, and when the epoch or state moved on.

    `owner` may claim over its own lease: a process that asks runs no refresh of this connection any more.
    """
    place: dict[str, object] = {"tenant": tenant_id, "id": connection_id, "seen": seen}
    row = (await tx.execute(_CLAIM, {**place, "owner": owner, "seconds": seconds})).first()
    if row is None:
        return None
    await tx.execute(_ORPHANS, place)
    after_unknown = bool((await tx.execute(_UNKNOWN_BEFORE, place)).scalar())
    journal_id = uuid4()
    await tx.execute(_BEGIN, {**place, "journal": journal_id, "lease": row.lease_epoch})
    return _lease(row, tenant_id, connection_id, journal_id, seen, after_unknown)


async def extend(tx: Transaction, lease: Lease, seconds: float) -> bool:
    """False when the lease is another's, or the connection changed meanwhile: then nothing may be sent."""
    result = await tx.execute(_EXTEND, {**_fence(lease), "seconds": seconds})
    return result.rowcount == 1


async def look(tx: Transaction, tenant_id: UUID, connection_id: UUID, seen: int) -> Look | None:
    row = (await tx.execute(_LOOK, {"tenant": tenant_id, "id": connection_id, "seen": seen})).first()
    return None if row is None else Look(row.epoch, row.state, row.lease_epoch, row.free, row.outcome)


async def keep(tx: Transaction, lease: Lease, renewed: Renewed) -> bool:
    """The compare-and-swap. False when it lost."""
    result = await tx.execute(
        _STORE,
        {
            **_fence(lease),
            "access_token": renewed.access_token,
            "refresh_token": renewed.refresh_token,
            "id_token": renewed.id_token,
            "expires_at": renewed.expires_at,
            "scopes": list(renewed.scopes),
            "reason": renewed.reason,
        },
    )
    if result.rowcount == 1:
        await _finish(tx, lease, STORED)
    return result.rowcount == 1


async def was_kept(tx: Transaction, lease: Lease) -> bool:
    """Whether an earlier attempt to store committed although its answer was lost on the way."""
    outcome = (await tx.execute(_OUTCOME, {"tenant": lease.tenant_id, "journal": lease.journal_id})).scalar()
    return bool(outcome == STORED)


async def reject(tx: Transaction, lease: Lease, reason: str) -> bool:
    """Needs a reconnect. The ciphertext stays until the person reconnects or disconnects."""
    result = await tx.execute(_REJECT, {**_fence(lease), "reason": reason})
    await _finish(tx, lease, reason)
    return result.rowcount == 1


async def release(tx: Transaction, lease: Lease, outcome: str) -> None:
    await tx.execute(_RELEASE, {"tenant": lease.tenant_id, "id": lease.connection_id, "lease": lease.epoch})
    await _finish(tx, lease, outcome)


async def forget_old(tx: Transaction) -> int:
    """Journal rows that no decision can depend on any more: their epoch is over. Across tenants; how many."""
    return (await tx.execute(_FORGET)).rowcount


async def _finish(tx: Transaction, lease: Lease, outcome: str) -> None:
    await tx.execute(_FINISH, {"tenant": lease.tenant_id, "journal": lease.journal_id, "outcome": outcome})


def _fence(lease: Lease) -> dict[str, object]:
    return {
        "tenant": lease.tenant_id,
        "id": lease.connection_id,
        "seen": lease.seen,
        "lease": lease.epoch,
    }


def _lease(
    row: Row[tuple[object, ...]],
    tenant_id: UUID,
    connection_id: UUID,
    journal_id: UUID,
    seen: int,
    after_unknown: bool,
) -> Lease:
    return Lease(
        tenant_id=tenant_id,
        connection_id=connection_id,
        journal_id=journal_id,
        seen=seen,
        epoch=row.lease_epoch,
        user_id=row.user_id,
        provider=row.provider,
        account_name=row.account_name,
        scopes=tuple(row.scopes),
        refresh_token=row.refresh_token,
        after_unknown=after_unknown,
        unverified=row.unverified,
    )
