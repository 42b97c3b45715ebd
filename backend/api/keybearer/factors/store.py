"""Rows of factors. Every function is given the tenant and filters by it; row-level security does too."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, and_, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql

from keybearer.factors.model import Factor, Passkey, Seed
from keybearer.factors.tables import passkey_challenges, passkeys, recovery_codes, totp_factors
from keybearer.kit.database import Transaction


@dataclass(frozen=True, slots=True)
class NewPasskey:
    id: UUID
    user_id: UUID
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SealedCode:
    """A recovery code as it is stored."""

    id: UUID
    selector: str
    sealed_hash: bytes = field(repr=False)


async def list_of(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[Factor]:
    """Oldest first."""
    confirmed = _of(totp_factors, tenant_id, user_id) & totp_factors.c.confirmed_at.is_not(None)
    apps = await tx.execute(select(totp_factors).where(confirmed))
    keys = await tx.execute(select(passkeys).where(_of(passkeys, tenant_id, user_id)))
    found = [Factor(row.id, "totp", "Authenticator app", row.confirmed_at, row.last_used_at) for row in apps]
    found += [Factor(row.id, "passkey", row.name, row.created_at, row.last_used_at) for row in keys]
    return sorted(found, key=lambda one: (one.created_at, one.id))


async def codes_left(tx: Transaction, tenant_id: UUID, user_id: UUID) -> int:
    unused = _of(recovery_codes, tenant_id, user_id) & recovery_codes.c.used_at.is_(None)
    return (await tx.execute(select(func.count()).select_from(recovery_codes).where(unused))).scalar_one()


async def remove(tx: Transaction, tenant_id: UUID, user_id: UUID, factor_id: UUID) -> str | None:
    """The kind of the one that was there."""
    for table, kind in ((totp_factors, "totp"), (passkeys, "passkey")):
        mine = _of(table, tenant_id, user_id) & (table.c.id == factor_id)
        if (await tx.execute(delete(table).where(mine))).rowcount:
            return kind
    return None


async def erase(tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
    for table in (totp_factors, recovery_codes, passkeys, passkey_challenges):
        await tx.execute(delete(table).where(_of(table, tenant_id, user_id)))


async def add_seed(tx: Transaction, tenant_id: UUID, user_id: UUID, factor_id: UUID, sealed: bytes) -> None:
    """In place of one that was never confirmed."""
    waiting = _of(totp_factors, tenant_id, user_id) & totp_factors.c.confirmed_at.is_(None)
    await tx.execute(delete(totp_factors).where(waiting))
    await tx.execute(insert(totp_factors).values(tenant_id=tenant_id, id=factor_id, user_id=user_id, seed=sealed))


async def find_waiting_seed(
    tx: Transaction, tenant_id: UUID, user_id: UUID, factor_id: UUID, since: datetime
) -> Seed | None:
    """Locked until the transaction's end."""
    mine = and_(
        _of(totp_factors, tenant_id, user_id),
        totp_factors.c.id == factor_id,
        totp_factors.c.confirmed_at.is_(None),
        totp_factors.c.created_at > since,
    )
    return _seed((await tx.execute(select(totp_factors).where(mine).with_for_update())).first())


async def find_seed(tx: Transaction, tenant_id: UUID, user_id: UUID) -> Seed | None:
    """The one that works, locked until the transaction's end: of two who show one code, the second finds it used."""
    confirmed = _of(totp_factors, tenant_id, user_id) & totp_factors.c.confirmed_at.is_not(None)
    return _seed((await tx.execute(select(totp_factors).where(confirmed).with_for_update())).first())


async def confirm_seed(tx: Transaction, tenant_id: UUID, user_id: UUID, factor_id: UUID, step: int) -> None:
    """It works from here on, and the one before no longer."""
    before = _of(totp_factors, tenant_id, user_id) & totp_factors.c.confirmed_at.is_not(None)
    await tx.execute(delete(totp_factors).where(before))
    await tx.execute(
        update(totp_factors)
        .where(totp_factors.c.tenant_id == tenant_id, totp_factors.c.id == factor_id)
        .values(confirmed_at=func.now(), last_step=step)
    )


async def use_step(tx: Transaction, tenant_id: UUID, factor_id: UUID, step: int) -> None:
    await tx.execute(
        update(totp_factors)
        .where(totp_factors.c.tenant_id == tenant_id, totp_factors.c.id == factor_id)
        .values(last_step=step, last_used_at=func.now())
    )


async def remove_unconfirmed(tx: Transaction) -> int:
    old = totp_factors.c.confirmed_at.is_(None) & (totp_factors.c.created_at < func.now() - text("interval '1 hour'"))
    return (await tx.execute(delete(totp_factors).where(old))).rowcount


async def replace_codes(tx: Transaction, tenant_id: UUID, user_id: UUID, codes: Sequence[SealedCode]) -> None:
    await tx.execute(delete(recovery_codes).where(_of(recovery_codes, tenant_id, user_id)))
    if codes:
        rows = [
            {
                "tenant_id": tenant_id,
                "id": one.id,
                "user_id": user_id,
                "selector": one.selector,
                "hash": one.sealed_hash,
            }
            for one in codes
        ]
        await tx.execute(insert(recovery_codes), rows)


async def find_code(tx: Transaction, tenant_id: UUID, user_id: UUID, selector: str) -> SealedCode | None:
    """One that was not used yet."""
    unused = and_(
        _of(recovery_codes, tenant_id, user_id),
        recovery_codes.c.selector == selector,
        recovery_codes.c.used_at.is_(None),
    )
    row = (await tx.execute(select(recovery_codes).where(unused))).first()
    return SealedCode(row.id, row.selector, row.hash) if row else None


async def use_code(tx: Transaction, tenant_id: UUID, code_id: UUID) -> bool:
    """False when somebody used it meanwhile, or new codes took its place."""
    unused = and_(
        recovery_codes.c.tenant_id == tenant_id, recovery_codes.c.id == code_id, recovery_codes.c.used_at.is_(None)
    )
    return (await tx.execute(update(recovery_codes).where(unused).values(used_at=func.now()))).rowcount == 1


async def add_passkey(tx: Transaction, tenant_id: UUID, passkey: NewPasskey) -> bool:
    """False when the credential is registered here already, whosever it is."""
    values = {
        "tenant_id": tenant_id,
        "id": passkey.id,
        "user_id": passkey.user_id,
        "name": passkey.name,
        "credential_id": passkey.credential_id,
        "public_key": passkey.public_key,
        "sign_count": passkey.sign_count,
        "transports": list(passkey.transports),
    }
    added = await tx.execute(postgresql.insert(passkeys).values(values).on_conflict_do_nothing())
    return added.rowcount == 1


async def credential_ids(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[bytes]:
    found = await tx.execute(select(passkeys.c.credential_id).where(_of(passkeys, tenant_id, user_id)))
    return list(found.scalars())


async def find_passkey(tx: Transaction, tenant_id: UUID, credential_id: bytes) -> Passkey | None:
    """Locked until the transaction's end, so that its counter only grows."""
    wanted = select(passkeys).where(passkeys.c.tenant_id == tenant_id, passkeys.c.credential_id == credential_id)
    row = (await tx.execute(wanted.with_for_update())).first()
    return Passkey(row.id, row.user_id, row.credential_id, row.public_key, row.sign_count) if row else None


async def use_passkey(tx: Transaction, tenant_id: UUID, passkey_id: UUID, sign_count: int) -> None:
    await tx.execute(
        update(passkeys)
        .where(passkeys.c.tenant_id == tenant_id, passkeys.c.id == passkey_id)
        .values(sign_count=sign_count, last_used_at=func.now())
    )


async def add_challenge(
    tx: Transaction, tenant_id: UUID, digest: bytes, user_id: UUID | None, browser_hash: bytes, expires_at: datetime
) -> None:
    await tx.execute(
        insert(passkey_challenges).values(
            tenant_id=tenant_id, hash=digest, user_id=user_id, browser_hash=browser_hash, expires_at=expires_at
        )
    )


async def use_challenge(
    tx: Transaction, tenant_id: UUID, digest: bytes, user_id: UUID | None, browser_hash: bytes, now: datetime
) -> bool:
    """Once, by the browser that it was made for, and in time."""
    used = await tx.execute(
        delete(passkey_challenges).where(
            passkey_challenges.c.tenant_id == tenant_id,
            passkey_challenges.c.hash == digest,
            passkey_challenges.c.user_id.is_not_distinct_from(user_id),
            passkey_challenges.c.browser_hash == browser_hash,
            passkey_challenges.c.expires_at > now,
        )
    )
    return used.rowcount == 1


async def remove_stale_challenges(tx: Transaction) -> int:
    return (await tx.execute(delete(passkey_challenges).where(passkey_challenges.c.expires_at < func.now()))).rowcount


def _of(table: Table, tenant_id: UUID, user_id: UUID) -> ColumnElement[bool]:
    return and_(table.c.tenant_id == tenant_id, table.c.user_id == user_id)


def _seed(row: Row[Any] | None) -> Seed | None:
    return Seed(row.id, row.seed, row.last_step, row.created_at) if row else None
