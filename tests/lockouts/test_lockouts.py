"""Lockouts against a database: who is locked out by whose guesses, and that guesses at once are counted."""

import asyncio
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from keybearer.keys.keyring import Keyring
from keybearer.keys.service import Keys
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import TooMany
from keybearer.ledger.service import Ledger
from keybearer.lockouts import background
from keybearer.lockouts.model import Account, Method, Source
from keybearer.lockouts.service import Lockouts
from keybearer.tenancy.model import DEFAULT_ID as TENANT
from sqlalchemy import text

HOME, STREET = "203.0.113.9", "198.51.100.7"
LAPTOP, THIEF = "l" * 43, "t" * 43
STRANGER = Source(None, STREET)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass
class Told:
    """Who heard of a lock."""

    locks: list[tuple[UUID | None, Method]] = field(default_factory=list)

    async def __call__(self, _tx: Transaction, account: Account, method: Method) -> None:
        self.locks.append((account.user_id, method))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def lockouts(db: Database, clock: Clock, told: Told) -> Lockouts:
    keys = Keys(Keyring(keys={"k1": os.urandom(32)}, primary="k1"))
    await keys.start(db)
    return Lockouts(db, Ledger(db, keys), told, now=clock)


@pytest.fixture
async def owner(db: Database) -> UUID:
    user_id = uuid4()
    async with db.transaction(TENANT) as tx:
        await tx.execute(
            text("INSERT INTO users (tenant_id, id, name) VALUES (:tenant, :id, 'Alice')"),
            {"tenant": TENANT, "id": user_id},
        )
    return user_id


async def guess(
    lockouts: Lockouts, account: Account, source: Source, method: Method = "totp", *, right: bool = False
) -> str:
    """right, wrong, or locked."""
    try:
        attempt = await lockouts.check(account, method, source)
    except TooMany as error:
        return {"account_locked": "locked"}[error.code]
    if right:
        await lockouts.succeeded(attempt)
        return "right"
    await lockouts.failed(attempt)
    return "wrong"


async def remember(db: Database, lockouts: Lockouts, user_id: UUID, source: Source) -> None:
    async with db.transaction(TENANT) as tx:
        await lockouts.remember(tx, TENANT, user_id, source)


async def actions(db: Database) -> list[str]:
    async with db.transaction(TENANT) as tx:
        return list((await tx.execute(text("SELECT action FROM ledger ORDER BY id"))).scalars())


async def test_five_wrong_ones_lock_for_a_quarter_of_an_hour(
    db: Database, lockouts: Lockouts, owner: UUID, clock: Clock
) -> None:
    account = Account.of_user(TENANT, owner)
    assert [await guess(lockouts, account, STRANGER) for _ in range(6)] == ["wrong"] * 5 + ["locked"]
    assert await actions(db) == ["account.locked"]
    with pytest.raises(TooMany) as locked:
        await lockouts.check(account, "totp", STRANGER)
    assert 890 <= (locked.value.retry_after or 0) <= 900
    clock.now += timedelta(minutes=15)
    assert [await guess(lockouts, account, STRANGER) for _ in range(6)] == ["wrong"] * 5 + ["locked"]
    clock.now += timedelta(minutes=16)
    assert await guess(lockouts, account, STRANGER) == "locked", "the second lock lasts longer"
    clock.now += timedelta(minutes=15)
    assert await guess(lockouts, account, STRANGER, right=True) == "right"


async def test_a_right_one_forgets_those_before(lockouts: Lockouts, owner: UUID) -> None:
    account = Account.of_user(TENANT, owner)
    for _ in range(3):
        assert [await guess(lockouts, account, STRANGER) for _ in range(4)] == ["wrong"] * 4
        assert await guess(lockouts, account, STRANGER, right=True) == "right"


async def test_methods_and_accounts_are_locked_apart(lockouts: Lockouts, owner: UUID) -> None:
    account, other = Account.of_user(TENANT, owner), Account.of_nobody(TENANT, "nobody@example.com")
    for _ in range(5):
        await guess(lockouts, account, STRANGER)
    assert await guess(lockouts, account, STRANGER) == "locked"
    assert await guess(lockouts, account, STRANGER, "password") == "wrong"
    assert await guess(lockouts, account, STRANGER, "recovery_code", right=True) == "right"
    assert await guess(lockouts, other, STRANGER) == "wrong"


async def test_nobody_is_locked_like_somebody(lockouts: Lockouts, owner: UUID, told: Told) -> None:
    known, unknown = Account.of_user(TENANT, owner), Account.of_nobody(TENANT, "nobody@example.com")
    tries = [[await guess(lockouts, each, STRANGER, "password") for _ in range(7)] for each in (known, unknown)]
    assert tries[0] == tries[1] == ["wrong"] * 5 + ["locked"] * 2
    assert told.locks == [(owner, "password"), (None, "password")], "once for each lock"


@pytest.mark.parametrize(
    ("used_before", "now"),
    [
        (Source(LAPTOP, HOME), Source(LAPTOP, STREET)),  # the same browser, wherever it is now
        (Source(LAPTOP, HOME), Source(None, HOME)),  # a program of the same place
        (Source(None, HOME), Source(THIEF, HOME)),
    ],
)
async def test_strangers_cannot_keep_the_owner_out(
    db: Database, lockouts: Lockouts, owner: UUID, used_before: Source, now: Source
) -> None:
    account = Account.of_user(TENANT, owner)
    await remember(db, lockouts, owner, used_before)
    for _ in range(6):
        await guess(lockouts, account, STRANGER)
    assert await guess(lockouts, account, STRANGER) == "locked"
    assert await guess(lockouts, account, now, right=True) == "right"
    assert await guess(lockouts, account, STRANGER) == "locked", "and the owner does not let the strangers in"


async def test_a_thief_in_the_owners_network_does_not_lock_the_owners_browser(
    db: Database, lockouts: Lockouts, owner: UUID
) -> None:
    account = Account.of_user(TENANT, owner)
    await remember(db, lockouts, owner, Source(LAPTOP, HOME))
    assert [await guess(lockouts, account, Source(THIEF, HOME)) for _ in range(6)][-1] == "locked"
    assert await guess(lockouts, account, Source(LAPTOP, HOME), right=True) == "right"


async def test_a_known_browser_is_locked_by_its_own_guesses(db: Database, lockouts: Lockouts, owner: UUID) -> None:
    account = Account.of_user(TENANT, owner)
    await remember(db, lockouts, owner, Source(LAPTOP, HOME))
    assert [await guess(lockouts, account, Source(LAPTOP, HOME)) for _ in range(6)][-1] == "locked"


async def test_a_source_is_known_for_its_own_account_alone(db: Database, lockouts: Lockouts, owner: UUID) -> None:
    """Otherwise anybody with an account of their own could guess at others' from a bucket of their own."""
    victim = Account.of_nobody(TENANT, "victim@example.com")
    await remember(db, lockouts, owner, Source(LAPTOP, HOME))
    for _ in range(5):
        await guess(lockouts, victim, STRANGER)
    assert await guess(lockouts, victim, Source(LAPTOP, HOME)) == "locked"


async def test_new_browsers_share_one_bucket(lockouts: Lockouts, owner: UUID) -> None:
    account = Account.of_user(TENANT, owner)
    sources = [Source(f"{n:043}", f"198.51.100.{n}") for n in range(8)]
    assert [await guess(lockouts, account, source) for source in sources] == ["wrong"] * 5 + ["locked"] * 3


async def test_guesses_at_once_are_counted(db: Database, lockouts: Lockouts, owner: UUID) -> None:
    account = Account.of_user(TENANT, owner)
    guesses = await asyncio.gather(*(guess(lockouts, account, STRANGER) for _ in range(20)))
    assert sorted(guesses) == ["locked"] * 15 + ["wrong"] * 5
    assert await actions(db) == ["account.locked"]


async def test_a_guess_whose_process_died_counts(lockouts: Lockouts, owner: UUID) -> None:
    account = Account.of_user(TENANT, owner)
    for _ in range(5):
        await lockouts.check(account, "totp", STRANGER)
    assert await guess(lockouts, account, STRANGER) == "locked"


async def test_what_is_old_is_forgotten(db: Database, lockouts: Lockouts, owner: UUID, clock: Clock) -> None:
    account = Account.of_user(TENANT, owner)
    await guess(lockouts, account, STRANGER)
    await remember(db, lockouts, owner, Source(LAPTOP, HOME))
    assert await background.prune(db) == 0
    clock.now -= timedelta(hours=25)
    await guess(lockouts, account, STRANGER, "password")
    assert await background.prune(db) == 1


async def test_a_person_who_leaves_takes_all_of_it_along(db: Database, lockouts: Lockouts, owner: UUID) -> None:
    account = Account.of_user(TENANT, owner)
    await guess(lockouts, account, STRANGER)
    await remember(db, lockouts, owner, Source(LAPTOP, HOME))
    async with db.transaction(TENANT) as tx:
        await lockouts.erase(tx, TENANT, owner)
    async with db.transaction(TENANT) as tx:
        for table in ("lockouts", "known_sources"):
            assert (await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar() == 0
