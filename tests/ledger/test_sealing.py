"""Sealing on a real PostgreSQL: what is in which batch, and what checkpoints are good for."""

import asyncio
import json
import random
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from keybearer.keys.envelope import Owner
from keybearer.keys.signing import SigningKeyring
from keybearer.ledger import background, checkpoint
from keybearer.ledger.background import Sealer, StoredBooks
from keybearer.ledger.chain import Batch
from keybearer.ledger.model import Entry
from keybearer.ledger.verify import verify

TENANT = UUID("00000000-0000-7000-8000-000000000001")


async def test_an_untouched_ledger_verifies(books, signers) -> None:
    report = await verify(books, signers)
    assert report.problem is None
    assert (report.batches, report.rows, report.remainder.unsealed) == (4, 12, 0)


async def test_an_empty_ledger_verifies(db, signers) -> None:
    report = await verify(StoredBooks(db), signers)
    assert (report.problem, report.batches, report.last) == (None, 0, None)


async def test_rows_that_are_not_sealed_yet_are_counted(books, signers, record, db) -> None:
    await record(1, 2)
    report = await verify(books, signers)
    assert report.problem is None
    assert report.remainder.unsealed == 2
    count, age = await background.measure(db)
    assert count == 2
    assert 0 <= age < 60


async def test_nothing_new_makes_no_batch(books, sealer) -> None:
    assert await sealer.seal() is None


async def test_erasing_a_person_leaves_the_chain_whole(books, signers, db, keys, person) -> None:
    async with db.transaction(TENANT) as tx:
        await keys.destroy(tx, Owner.user(TENANT, person))
    assert (await verify(books, signers)).problem is None


async def test_a_chain_signed_again_with_another_key_is_named(books, signers, superuser, db) -> None:
    """Whoever holds the database alone can rewrite everything but the signatures."""
    stranger = Ed25519PrivateKey.generate()
    forger = SigningKeyring(private={"s2": stranger}, public={"s2": stranger.public_key()}, primary="s2")
    await superuser.execute("UPDATE ledger SET action = 'sign_in'; TRUNCATE ledger_batches")
    await Sealer(db, forger).run()
    report = await verify(books, signers)
    assert report.problem is not None
    assert "'s2'" in report.problem
    namesake = SigningKeyring(private={"s1": stranger}, public={"s1": stranger.public_key()}, primary="s1")
    await superuser.execute("TRUNCATE ledger_batches")
    await Sealer(db, namesake).run()
    report = await verify(books, signers)
    assert report.problem == "batch 1 was changed: its signature does not fit"


@pytest.fixture
async def newest(books) -> Batch:
    return (await books.batches(3, 1))[0]


CUT = """
    DELETE FROM ledger WHERE xid >= (SELECT from_xid FROM ledger_batches WHERE no = 4);
    DELETE FROM ledger_batches WHERE no = 4
"""


async def test_a_cut_tail_is_seen_with_a_checkpoint_alone(books, newest, signers, superuser) -> None:
    kept = checkpoint.read(json.dumps(checkpoint.public_form(newest)))
    assert (await verify(books, signers, checkpoints=kept)).problem is None
    await superuser.execute(CUT)
    assert (await verify(books, signers)).problem is None
    report = await verify(books, signers, checkpoints=kept)
    assert report.problem is not None
    assert report.problem.startswith("batch 4 is missing")


async def test_a_tail_that_was_cut_and_sealed_anew_is_seen_with_a_checkpoint(
    books, newest, signers, superuser, sealer, record
) -> None:
    kept = checkpoint.read(json.dumps(checkpoint.public_form(newest)))
    await superuser.execute(CUT)
    await record(1)
    await sealer.run()
    report = await verify(books, signers, checkpoints=kept)
    assert report.problem is not None
    assert report.problem.startswith("batch 4 is not the one that the checkpoint names")


async def test_a_forged_checkpoint_is_refused(books, newest, signers) -> None:
    forged = checkpoint.public_form(newest) | {"hash": "00" * 32}
    report = await verify(books, signers, checkpoints=checkpoint.read(json.dumps(forged)))
    assert report.problem == "the checkpoint of batch 4 carries no signature of this installation"


async def test_checkpoints_are_found_in_log_lines(newest) -> None:
    lines = ["{", '{"event": "x"}', json.dumps({"event": "ledger.sealed", **checkpoint.public_form(newest)}), "plain"]
    assert [each.no for each in checkpoint.read("\n".join(lines))] == [4]


async def test_batches_end_between_transactions(record, db, signers) -> None:
    for size in (2, 2, 7, 1, 1):
        await record(*range(size))
    small = Sealer(db, signers, batch_rows=3)
    await small.run()
    sizes = [batch.seal.count for batch in await StoredBooks(db).batches(0, 100)]
    assert sizes == [2, 2, 7, 2]
    assert (await verify(StoredBooks(db), signers)).problem is None


async def test_an_open_transaction_delays_sealing_and_is_then_sealed(ledger, db, person, record, sealer) -> None:
    async with db.transaction(TENANT) as tx:
        await ledger.record(tx, Entry(tenant_id=TENANT, action="grant.created", user_id=person))
        await record(1)
        assert await sealer.seal() is None
        assert (await background.measure(db))[0] == 1
    sealed = await sealer.seal()
    assert sealed is not None
    assert sealed.seal.count == 2


async def test_a_restore_ends_an_era_and_starts_another(books, signers, superuser, sealer, record) -> None:
    await record(1, 2)
    await superuser.execute("INSERT INTO ledger_eras (era) VALUES (2)")
    await record(3)
    await sealer.run()
    found = await books.batches(4, 10)
    assert [(batch.seal.no, batch.seal.era, batch.seal.count) for batch in found] == [(5, 1, 2), (6, 2, 1)]
    assert (found[1].seal.from_xid, (await verify(books, signers)).problem) == (0, None)
    await superuser.execute(
        "INSERT INTO ledger (tenant_id, uid, era, action, outcome, actor_kind) "
        "SELECT tenant_id, gen_random_uuid(), 1, 'sign_in', 'ok', 'person' FROM ledger LIMIT 1"
    )
    report = await verify(books, signers)
    assert report.problem is not None
    assert report.problem.endswith("was added to era 1, which has ended")


async def test_a_second_sealer_is_overtaken_without_harm(record, db, signers) -> None:
    await record(1)
    results = await asyncio.gather(*(Sealer(db, signers).seal() for _ in range(5)))
    assert sum(result is not None for result in results) == 1
    assert (await verify(StoredBooks(db), signers)).rows == 1


async def test_sealing_under_concurrent_commits_puts_each_row_in_one_batch(ledger, db, signers, superuser) -> None:
    """Transactions that start early and commit late, some that never do, and two sealers all the while."""
    seed = random.Random(7)
    people = [uuid4() for _ in range(4)]
    for person in people:  # data keys are made before, so that writers do not wait for each other on them
        async with db.transaction(TENANT) as tx:
            await ledger.record(tx, Entry(tenant_id=TENANT, action="sign_in", user_id=person, detail={"n": 0}))
    slots, done = asyncio.Semaphore(5), asyncio.Event()

    async def write(person: UUID, pauses: list[float], aborts: bool) -> int:
        async with slots, db.transaction(TENANT) as tx:
            for pause in pauses:
                await ledger.record(tx, Entry(tenant_id=TENANT, action="sign_in", user_id=person, detail={"n": pause}))
                await asyncio.sleep(pause)
            if aborts:
                await tx.rollback()
        return 0 if aborts else len(pauses)

    async def keep_sealing() -> None:
        mine = Sealer(db, signers, batch_rows=10)
        while not done.is_set():
            await mine.seal()
            await asyncio.sleep(0.001)
        await mine.run()

    sealers = [asyncio.create_task(keep_sealing()) for _ in range(2)]
    writers = [
        write(seed.choice(people), [seed.choice((0, 0, 0.001, 0.02)) for _ in range(seed.randint(1, 4))], n % 9 == 0)
        for n in range(200)
    ]
    written = sum(await asyncio.gather(*writers)) + len(people)
    done.set()
    await asyncio.gather(*sealers)
    report = await verify(StoredBooks(db), signers)
    assert report.problem is None
    assert (report.rows, report.remainder.unsealed) == (written, 0)
    assert report.batches > 10
    memberships = await superuser.fetch(
        "SELECT l.id, count(b.no) AS n FROM ledger l "
        "LEFT JOIN ledger_batches b ON b.era = l.era AND l.xid >= b.from_xid AND l.xid < b.to_xid GROUP BY l.id"
    )
    assert {row["n"] for row in memberships} == {1}
    assert len(memberships) == written


async def test_rows_that_are_recorded_meanwhile_are_no_strays(books, record, signers) -> None:
    ended = asyncio.Event()

    async def go_on() -> None:
        while not ended.is_set():
            await record(1)

    recording = [asyncio.create_task(go_on()) for _ in range(3)]
    problems = [(await verify(books, signers)).problem for _ in range(100)]
    ended.set()
    await asyncio.gather(*recording)
    assert set(problems) == {None}
