"""What must be put right in a database that went back in time, however it did: nothing that ended since may live again.

The ledger begins a new era, because transaction ids come again. Sessions and grants end, because some of them ended
after the moment that came back. Refresh tokens may have been rotated since, so each is tried before it is believed. And
whoever left meanwhile is deleted again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from keybearer.backups import store
from keybearer.backups.errors import BackupError
from keybearer.grants import background as grants
from keybearer.keys import background as keys_background
from keybearer.keys.erasures import Erasure
from keybearer.keys.service import Keys
from keybearer.kit.database import Database, Transaction
from keybearer.ledger.background import Sealer
from keybearer.ledger.chain import Batch
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.migrations import rebuilding
from keybearer.vault import background as vault

EraseAgain = Callable[[Transaction, UUID, UUID], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Domains:
    """The others, as far as they have something to put right."""

    keys: Keys
    ledger: Ledger
    sealer: Sealer
    erase_again: EraseAgain


@dataclass(frozen=True, slots=True)
class Settled:
    """`erased` None: nobody could say who left, so nothing may be served yet. `last` ended the era before this one."""

    era: int
    last: Batch | None
    grants_ended: int
    unverified: int
    erased: int | None


async def settle_in_place(db: Database, domains: Domains, erasures: Sequence[Erasure] | None) -> Settled:
    """For a database that was put back by other means. `db` is the migrating login's."""
    async with db.transaction(None) as tx:
        await begin(tx)
        await rebuilding.finish(tx)
        settled = await settle(tx, domains, erasures)
        await check_unused(tx)
    return settled


async def replay(db: Database, domains: Domains, erasures: Sequence[Erasure]) -> int:
    """Later, where a restore had to do without; how many people were deleted."""
    async with db.transaction(None) as tx:
        await begin(tx)
        async with store.unguarded(tx):
            erased = await _erase(tx, domains, erasures)
        await store.settle(tx)
        await check_unused(tx)
    return erased


async def begin(tx: Transaction) -> None:
    """As the owner, alone, and for as long as it takes. Raises ConfigurationError, BackupError."""
    await store.unlimited(tx)
    await check_unused(tx)
    await rebuilding.act_as_owner(tx)


async def check_unused(tx: Transaction) -> None:
    """A server holds in memory what the database no longer says."""
    if number := await store.servers(tx):
        raise BackupError(
            f"Keybearer's servers use this database ({number} connections). Stop them first, and start them when the "
            "restore is over. Nothing was changed."
        )


async def settle(
    tx: Transaction,
    domains: Domains,
    erasures: Sequence[Erasure] | None,
    *,
    archive: str | None = None,
    archived_at: datetime | None = None,
) -> Settled:
    async with store.unguarded(tx):
        await _check_keys(tx, domains.keys)
        await store.empty_short_lived(tx)
        ended = await grants.end_everybodys(tx)
        unverified = await vault.distrust(tx)
        era, last = await domains.sealer.next_era(tx)
        for tenant_id in await store.tenants(tx):
            entry = Entry(tenant_id=tenant_id, action="installation.restored", actor_kind="system")
            await domains.ledger.record(tx, entry)
        erased = await _erase(tx, domains, erasures) if erasures is not None else None
    await store.add_restore(tx, era, archive, archived_at, settled=erased is not None)
    return Settled(era, last, ended, unverified, erased)


async def _check_keys(tx: Transaction, keys: Keys) -> None:
    missing = await keys.registered(tx) - keys.keyring.keys.keys()
    if missing:
        raise lacks_keys(missing)
    await keys_background.prove_in(tx, keys)


def lacks_keys(missing: set[str]) -> BackupError:
    return BackupError(
        f"KEYBEARER_KEYRING_DIR lacks the key {', '.join(sorted(missing))}, under which data in there is encrypted. "
        "Bring that file back from the keyring's backup. Nothing was changed."
    )


async def _erase(tx: Transaction, domains: Domains, erasures: Sequence[Erasure]) -> int:
    erased = 0
    for erasure in erasures:
        await store.become(tx, erasure.tenant_id)
        erased += await domains.erase_again(tx, erasure.tenant_id, erasure.user_id)
    return erased
