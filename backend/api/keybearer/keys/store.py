"""Rows of key-encryption keys and wrapped data keys."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.exc import IntegrityError

from keybearer.keys.envelope import Owner, WrappedKey
from keybearer.keys.errors import KeyInUse, RetiredKey
from keybearer.keys.tables import data_keys, keks
from keybearer.kit.database import Transaction


async def find(tx: Transaction, owner: Owner) -> WrappedKey | None:
    row = (await tx.execute(select(data_keys).where(*_is(owner)))).first()
    return _record(row) if row is not None else None


async def add(tx: Transaction, owner: Owner, key: WrappedKey) -> bool:
    """False when the owner has a key already. Raises RetiredKey, after which the transaction can go on."""
    statement = (
        insert(data_keys)
        .values(
            tenant_id=owner.tenant_id,
            owner_kind=owner.kind,
            owner_id=owner.id,
            id=key.id,
            kek_id=key.kek_id,
            wrapped=key.wrapped,
        )
        .on_conflict_do_nothing(index_elements=["tenant_id", "owner_kind", "owner_id"])
    )
    try:
        async with tx.begin_nested():
            result = await tx.execute(statement)
    except IntegrityError as error:
        raise RetiredKey(f"{key.kek_id!r} is not registered") from error
    return result.rowcount == 1


async def destroy(tx: Transaction, owner: Owner) -> None:
    await tx.execute(delete(data_keys).where(*_is(owner)))


async def registered_keks(tx: Transaction) -> set[str]:
    return set((await tx.execute(select(keks.c.id))).scalars())


async def samples(tx: Transaction) -> list[tuple[Owner, WrappedKey]]:
    """One data key under each key-encryption key."""
    rows = await tx.execute(select(data_keys).ext(distinct_on(data_keys.c.kek_id)).order_by(data_keys.c.kek_id))
    return [(Owner(row.tenant_id, row.owner_kind, row.owner_id), _record(row)) for row in rows]


async def count_by_kek(tx: Transaction) -> dict[str, int]:
    """Data keys under each key-encryption key; a registered one that wraps nothing counts 0."""
    rows = await tx.execute(
        select(keks.c.id, func.count(data_keys.c.id).label("used"))
        .outerjoin(data_keys, data_keys.c.kek_id == keks.c.id)
        .group_by(keks.c.id)
    )
    return {row.id: row.used for row in rows}


async def register_first_kek(tx: Transaction, kek_id: str) -> None:
    """Only on an empty installation: afterwards a rotation alone adds and retires."""
    count = (await tx.execute(select(func.count()).select_from(keks))).scalar_one()
    if count == 0:
        await tx.execute(insert(keks).values(id=kek_id).on_conflict_do_nothing())


async def register_kek(tx: Transaction, kek_id: str) -> None:
    await tx.execute(insert(keks).values(id=kek_id).on_conflict_do_nothing())


async def retire_kek(tx: Transaction, kek_id: str) -> bool:
    """False where it was not registered. Raises KeyInUse while a data key is wrapped with it."""
    try:
        result = await tx.execute(delete(keks).where(keks.c.id == kek_id))
    except IntegrityError as error:
        raise KeyInUse(f"{kek_id!r} wraps data keys") from error
    return result.rowcount == 1


async def lock_others(tx: Transaction, kek_id: str, limit: int) -> list[tuple[Owner, WrappedKey]]:
    """Data keys under any other key-encryption key, locked; without those that somebody else holds."""
    query = select(data_keys).where(data_keys.c.kek_id != kek_id).limit(limit).with_for_update(skip_locked=True)
    return [(Owner(row.tenant_id, row.owner_kind, row.owner_id), _record(row)) for row in await tx.execute(query)]


async def count_others(tx: Transaction, kek_id: str) -> int:
    query = select(func.count()).select_from(data_keys).where(data_keys.c.kek_id != kek_id)
    return int((await tx.execute(query)).scalar_one())


async def replace(tx: Transaction, keys: Sequence[WrappedKey]) -> None:
    """The same data keys, wrapped otherwise."""
    statement = (
        update(data_keys)
        .where(data_keys.c.id == bindparam("key"))
        .values(kek_id=bindparam("kek"), wrapped=bindparam("ciphertext"))
    )
    await tx.execute(statement, [{"key": key.id, "kek": key.kek_id, "ciphertext": key.wrapped} for key in keys])


def _is(owner: Owner) -> tuple[ColumnElement[bool], ...]:
    return (
        data_keys.c.tenant_id == owner.tenant_id,
        data_keys.c.owner_kind == owner.kind,
        data_keys.c.owner_id == owner.id,
    )


def _record(row: Row[Any]) -> WrappedKey:
    return WrappedKey(id=row.id, kek_id=row.kek_id, wrapped=row.wrapped)
