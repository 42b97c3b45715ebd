"""Rows of connections. Every statement names the tenant, beside row-level security."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Update, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from keybearer.kit.database import Transaction
from keybearer.vault.model import Connection
from keybearer.vault.tables import connections

_SHOWN = (
    connections.c.id,
    connections.c.tenant_id,
    connections.c.user_id,
    connections.c.provider,
    connections.c.account_id,
    connections.c.account_name,
    connections.c.state,
    connections.c.state_reason,
    connections.c.scopes,
    connections.c.access_expires_at,
    connections.c.grant_expires_at,
    connections.c.last_used_at,
    connections.c.created_at,
    connections.c.epoch,
    connections.c.dek_id,
    connections.c.reminded_days,
)
_USED = text(
    """
    UPDATE connections c SET last_used_at = used.at
      FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]))
           AS used (tenant_id, id, at)
     WHERE c.tenant_id = used.tenant_id AND c.id = used.id
       AND (c.last_used_at IS NULL OR c.last_used_at < used.at)
    """
)
# After a restore all are due at once, and many of them are lost: providers must not see a storm of refused tokens.
_DUE = text(
    """
    WITH due AS (
      SELECT tenant_id, id, unverified, access_expires_at FROM connections
       WHERE state = 'active' AND refresh_token IS NOT NULL
         AND access_expires_at < CAST(:now AS timestamptz) + interval '10 minutes'
         AND last_used_at > CAST(:now AS timestamptz) - interval '24 hours'
    )
    (SELECT tenant_id, id FROM due WHERE NOT unverified ORDER BY access_expires_at LIMIT 500)
    UNION ALL
    (SELECT tenant_id, id FROM due WHERE unverified ORDER BY random() LIMIT 20)
    """
)
_UNVERIFIED = text("SELECT count(*) FROM connections WHERE unverified AND state = 'active'")
# The days are those of model.REMINDER_DAYS.
_EXPIRING = text(
    """
    SELECT tenant_id, id FROM connections
     WHERE state = 'active' AND grant_expires_at < CAST(:now AS timestamptz) + interval '30 days'
       AND (reminded_days IS NULL
            OR (reminded_days > 7 AND grant_expires_at <= CAST(:now AS timestamptz) + interval '7 days')
            OR (reminded_days > 1 AND grant_expires_at <= CAST(:now AS timestamptz) + interval '1 day')
            OR (reminded_days > 0 AND grant_expires_at <= CAST(:now AS timestamptz)))
     ORDER BY grant_expires_at LIMIT 500
    """
)
_COUNTS = text(
    """
    SELECT provider, count(*) AS amount,
           CASE WHEN state = 'active' AND grant_expires_at <= CAST(:now AS timestamptz) + interval '30 days'
                THEN 'expiring' ELSE state END AS shown
      FROM connections GROUP BY provider, shown
    """
)
_NEVER = text("'-infinity'::timestamptz")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecrets:
    access_token: bytes | None = field(repr=False)
    refresh_token: bytes | None = field(repr=False)
    id_token: bytes | None = field(repr=False)


async def find(tx: Transaction, tenant_id: UUID, connection_id: UUID, *, lock: bool = False) -> Connection | None:
    query = select(*_SHOWN).where(connections.c.tenant_id == tenant_id, connections.c.id == connection_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).first()
    return None if row is None else _record(row)


async def find_account(
    tx: Transaction, tenant_id: UUID, user_id: UUID, provider: str, account_id: str
) -> Connection | None:
    """Locked, because the caller is about to give it new tokens."""
    query = (
        select(*_SHOWN)
        .where(
            connections.c.tenant_id == tenant_id,
            connections.c.user_id == user_id,
            connections.c.provider == provider,
            connections.c.account_id == account_id,
        )
        .with_for_update()
    )
    row = (await tx.execute(query)).first()
    return None if row is None else _record(row)


async def of_person(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[Connection]:
    """Newest last; revoked ones are not listed, they wait for the same account to come back."""
    query = (
        select(*_SHOWN)
        .where(
            connections.c.tenant_id == tenant_id,
            connections.c.user_id == user_id,
            connections.c.state != "revoked",
        )
        .order_by(connections.c.created_at, connections.c.id)
    )
    return [_record(row) for row in await tx.execute(query)]


async def secrets(tx: Transaction, tenant_id: UUID, connection_id: UUID) -> SealedSecrets:
    query = select(connections.c.access_token, connections.c.refresh_token, connections.c.id_token).where(
        connections.c.tenant_id == tenant_id, connections.c.id == connection_id
    )
    row = (await tx.execute(query)).one()
    return SealedSecrets(access_token=row.access_token, refresh_token=row.refresh_token, id_token=row.id_token)


async def add(tx: Transaction, connection: Connection, sealed: SealedSecrets) -> bool:
    """False when the same account was connected in the same moment."""
    result = await tx.execute(
        insert(connections)
        .values(
            tenant_id=connection.tenant_id,
            id=connection.id,
            user_id=connection.user_id,
            provider=connection.provider,
            account_id=connection.account_id,
            epoch=connection.epoch,
            **_renewable(connection),
            **_columns(sealed),
        )
        .on_conflict_do_nothing(index_elements=["tenant_id", "user_id", "provider", "account_id"])
    )
    return result.rowcount == 1


async def renew(
    tx: Transaction, connection: Connection, sealed: SealedSecrets, *, keep_refresh_token: bool, keep_id_token: bool
) -> None:
    """New tokens after a new consent: whoever refreshes at this moment loses its compare-and-swap."""
    columns = _columns(sealed)
    if keep_refresh_token:
        del columns["refresh_token"]
    if keep_id_token:
        del columns["id_token"]
    await tx.execute(
        _one(connection.tenant_id, connection.id).values(
            epoch=connections.c.epoch + 1,
            reminded_days=None,
            unverified=False,
            lease_until=_NEVER,
            **_renewable(connection),
            **columns,
        )
    )


async def destroy_tokens(tx: Transaction, tenant_id: UUID, connection_id: UUID) -> None:
    await tx.execute(
        _one(tenant_id, connection_id).values(
            state="revoked",
            state_reason=None,
            access_token=None,
            refresh_token=None,
            id_token=None,
            access_expires_at=None,
            grant_expires_at=None,
            epoch=connections.c.epoch + 1,
            lease_until=_NEVER,
            updated_at=func.now(),
        )
    )


async def expire(tx: Transaction, tenant_id: UUID, connection_id: UUID, epoch: int, reason: str) -> bool:
    """An expired token that nothing can refresh. False when the connection changed meanwhile."""
    statement = _one(tenant_id, connection_id).where(connections.c.epoch == epoch, connections.c.state == "active")
    result = await tx.execute(statement.values(state="needs_reconnect", state_reason=reason, updated_at=func.now()))
    return result.rowcount == 1


async def reminded(tx: Transaction, connection: Connection, earlier: int | None, days: int) -> bool:
    """False when another process was faster."""
    statement = _one(connection.tenant_id, connection.id).where(
        connections.c.state == "active", connections.c.reminded_days.is_not_distinct_from(earlier)
    )
    return (await tx.execute(statement.values(reminded_days=days))).rowcount == 1


async def used(tx: Transaction, uses: Mapping[tuple[UUID, UUID], datetime]) -> None:
    """Across tenants, for background work."""
    ordered = sorted(uses.items(), key=lambda use: str(use[0]))  # two processes lock rows in the same order
    parameters = {
        "tenants": [tenant_id for (tenant_id, _), _ in ordered],
        "ids": [connection_id for (_, connection_id), _ in ordered],
        "times": [at for _, at in ordered],
    }
    await tx.execute(_USED, parameters)


async def due(tx: Transaction, now: datetime) -> list[tuple[UUID, UUID]]:
    """Across tenants: used within a day, and the token ends within ten minutes. Few of a backup's at once."""
    return [(row.tenant_id, row.id) for row in await tx.execute(_DUE, {"now": now})]


async def expiring(tx: Transaction, now: datetime) -> list[tuple[UUID, UUID]]:
    """Across tenants: a reminder is due."""
    return [(row.tenant_id, row.id) for row in await tx.execute(_EXPIRING, {"now": now})]


async def counts(tx: Transaction, now: datetime) -> dict[tuple[str, str], int]:
    """Across tenants: (provider, shown state) → how many."""
    return {(row.provider, row.shown): row.amount for row in await tx.execute(_COUNTS, {"now": now})}


async def count_unverified(tx: Transaction) -> int:
    """Across tenants."""
    found: int = (await tx.execute(_UNVERIFIED)).scalar_one()
    return found


async def distrust(tx: Transaction) -> int:
    """Across tenants, after a restore: refresh tokens may have been rotated away since. Answers how many there are."""
    leased = update(connections).where(connections.c.lease_until > _NEVER)
    await tx.execute(leased.values(lease_owner=None, lease_until=_NEVER))
    refreshable = update(connections).where(connections.c.state == "active", connections.c.refresh_token.is_not(None))
    return (await tx.execute(refreshable.values(unverified=True))).rowcount


async def erase(tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
    await tx.execute(delete(connections).where(connections.c.tenant_id == tenant_id, connections.c.user_id == user_id))


def _one(tenant_id: UUID, connection_id: UUID) -> Update:
    return update(connections).where(connections.c.tenant_id == tenant_id, connections.c.id == connection_id)


def _renewable(connection: Connection) -> dict[str, object]:
    return {
        "account_name": connection.account_name,
        "state": connection.state,
        "state_reason": connection.state_reason,
        "scopes": list(connection.scopes),
        "dek_id": connection.dek_id,
        "access_expires_at": connection.access_expires_at,
        "grant_expires_at": connection.grant_expires_at,
        "updated_at": func.now(),
    }


def _columns(sealed: SealedSecrets) -> dict[str, bytes | None]:
    return {
        "access_token": sealed.access_token,
        "refresh_token": sealed.refresh_token,
        "id_token": sealed.id_token,
    }


def _record(row: Row[*tuple[Any, ...]]) -> Connection:
    values = dict(row._mapping)
    return Connection(**{**values, "scopes": tuple(row.scopes)})
