"""The chain as a property: whatever is done to sealed rows or batches is found, and its place is named."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from keybearer.keys.signing import SigningKeyring
from keybearer.kit.errors import BadInput
from keybearer.ledger import chain, checkpoint
from keybearer.ledger.chain import NO_BATCH, Batch, Root, Seal, StoredRow
from keybearer.ledger.verify import Remainder, Report, verify

_PRIVATE = Ed25519PrivateKey.generate()
SIGNERS = SigningKeyring(private={"s1": _PRIVATE}, public={"s1": _PRIVATE.public_key()}, primary="s1")


class Shelf:
    """A ledger in memory that can be tampered with."""

    def __init__(self, rows: Sequence[StoredRow], batches: Sequence[Batch]) -> None:
        self.stored = list(rows)
        self.kept = list(batches)

    async def batches(self, after: int, limit: int) -> list[Batch]:
        return sorted((each for each in self.kept if each.seal.no > after), key=lambda each: each.seal.no)[:limit]

    async def rows(
        self, era: int, from_xid: int, to_xid: int, after: tuple[int, int] | None, limit: int
    ) -> list[StoredRow]:
        found = [row for row in self.stored if row.era == era and from_xid <= row.xid < to_xid]
        place: Callable[[StoredRow], tuple[int, int]] = lambda row: (row.xid, row.id)  # noqa: E731
        return sorted((row for row in found if after is None or place(row) > after), key=place)[:limit]

    async def archived(self) -> None:
        return None

    async def remainder(self, ends: dict[int, int], archived: None) -> Remainder:
        return Remainder(sum(row.xid >= ends.get(row.era, 0) for row in self.stored), None, None)


def verified(shelf: Shelf) -> Report:
    return asyncio.run(verify(shelf, SIGNERS))


few = settings(max_examples=40, deadline=None)  # each example is a whole ledger
small = st.integers(0, 2**31 - 1)
texts = st.text(max_size=12)
stored_rows = st.builds(
    StoredRow,
    tenant_id=st.uuids(),
    id=small,
    uid=st.uuids(),
    xid=small,
    era=st.just(1),
    at=st.integers(-(2**62), 2**62),
    action=texts,
    outcome=texts,
    actor_kind=texts,
    user_id=st.none() | st.uuids(),
    grant_id=st.none() | st.uuids(),
    connection_id=st.none() | st.uuids(),
    provider=st.none() | texts,
    call_id=st.none() | st.uuids(),
    method=st.none() | texts,
    status=st.none() | small,
    duration_ms=st.none() | small,
    code=st.none() | texts,
    request_id=st.none() | texts,
    dek_id=st.none() | st.uuids(),
    detail=st.none() | st.binary(max_size=20),
)


@st.composite
def shelves(draw: st.DrawFn) -> Shelf:
    """Up to five batches of up to six rows; several rows may share a transaction."""
    rows: list[StoredRow] = []
    batches: list[Batch] = []
    xid, number = 10, 1
    for no in range(1, draw(st.integers(1, 5)) + 1):
        start, mine = (batches[-1].seal.to_xid if batches else 0), []
        for _ in range(draw(st.integers(1, 6))):
            xid += draw(st.integers(0 if mine else 1, 2))
            number += 1
            mine.append(replace(draw(stored_rows), id=number, xid=xid))
        xid += 1
        rows += mine
        seal = Seal(
            previous_hash=batches[-1].seal.hash if batches else NO_BATCH,
            no=no,
            era=1,
            from_xid=start,
            to_xid=xid,
            count=len(mine),
            root=chain.root_of(mine),
            sealed_at=no,
            key_id="s1",
        )
        batches.append(Batch(seal, SIGNERS.sign(seal.hash)))
    return Shelf(rows, batches)


def batch_of(shelf: Shelf, row: StoredRow) -> int:
    return next(each.seal.no for each in shelf.kept if each.seal.from_xid <= row.xid < each.seal.to_xid)


def different(value: object) -> object:
    if value is None:
        return b"\x00"
    if isinstance(value, UUID):
        return uuid4()
    if isinstance(value, bytes):
        return value + b"\x00"
    return value + 1 if isinstance(value, int) else f"{value}x"


@few
@given(shelves())
def test_what_was_sealed_verifies(shelf: Shelf) -> None:
    report = verified(shelf)
    assert (report.problem, report.batches, report.rows) == (None, len(shelf.kept), len(shelf.stored))


@few
@given(shelves(), st.data())
def test_any_change_of_any_row_is_named(shelf: Shelf, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(shelf.stored) - 1))
    column = data.draw(st.sampled_from([field.name for field in fields(StoredRow)]))
    before = shelf.stored[place]
    named = batch_of(shelf, before)
    shelf.stored[place] = replace(before, **{column: different(getattr(before, column))})
    problem = verified(shelf).problem
    assert problem is not None
    assert problem.startswith(f"batch {named} ")


@few
@given(shelves(), st.data())
def test_any_deleted_or_added_row_is_named(shelf: Shelf, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(shelf.stored) - 1))
    named = batch_of(shelf, shelf.stored[place])
    if data.draw(st.booleans()):
        del shelf.stored[place]
    else:
        shelf.stored.append(replace(shelf.stored[place], id=data.draw(small) + 1000, uid=uuid4()))
    problem = verified(shelf).problem
    assert problem is not None
    assert problem.startswith(f"batch {named} ")


@few
@given(shelves(), st.data())
def test_any_two_rows_that_change_places_are_named(shelf: Shelf, data: st.DataObject) -> None:
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, len(shelf.stored) - 1)] * 2)))
    one, other = shelf.stored[first], shelf.stored[second]
    if (one.xid, one.id) == (other.xid, other.id):
        return
    named = batch_of(shelf, one)
    shelf.stored[first] = replace(one, xid=other.xid, id=other.id)
    shelf.stored[second] = replace(other, xid=one.xid, id=one.id)
    problem = verified(shelf).problem
    assert problem is not None
    assert problem.startswith(f"batch {named} ")


@few
@given(shelves(), st.data())
def test_any_change_of_any_batch_is_named(shelf: Shelf, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(shelf.kept) - 1))
    batch = shelf.kept[place]
    column = data.draw(st.sampled_from([*(field.name for field in fields(Seal) if field.name != "no"), "signature"]))
    if column == "signature":
        shelf.kept[place] = replace(batch, signature=bytes(64))
    else:
        changed = replace(batch.seal, **{column: different(getattr(batch.seal, column))})
        shelf.kept[place] = replace(batch, seal=changed)
    problem = verified(shelf).problem
    assert problem is not None
    assert problem.startswith(f"batch {batch.seal.no} ")


@few
@given(shelves(), st.data())
def test_a_batch_that_is_missing_or_moved_is_named(shelf: Shelf, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(shelf.kept) - 1))
    batch = shelf.kept.pop(place)
    last = place == len(shelf.kept)
    if data.draw(st.booleans()):
        number = data.draw(st.integers(-5, 20).filter(lambda no: no != batch.seal.no))
        shelf.kept.insert(place, replace(batch, seal=replace(batch.seal, no=number)))
        assert verified(shelf).problem is not None
    elif last:  # a cut tail: the chain alone cannot tell, a checkpoint can
        assert verified(shelf).problem is None
        newest = checkpoint.Checkpoint(batch.seal.no, batch.seal.hash, "s1", batch.signature)
        report = asyncio.run(verify(shelf, SIGNERS, checkpoints=[newest]))
        assert report.problem is not None
        assert report.problem.startswith(f"batch {batch.seal.no} is missing")
    else:
        problem = verified(shelf).problem
        assert problem is not None
        assert problem.startswith(f"batch {batch.seal.no} is missing")


@given(stored_rows, stored_rows)
def test_different_rows_have_different_hashes(one: StoredRow, other: StoredRow) -> None:
    assert (chain.row_hash(one) == chain.row_hash(other)) == (astuple(one) == astuple(other))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40))
def test_the_root_is_the_tree_hash_of_rfc_9162(hashes: list[bytes]) -> None:
    def tree(leaves: list[bytes]) -> bytes:
        if len(leaves) <= 1:
            return sha256(b"\x00" + leaves[0]).digest() if leaves else sha256().digest()
        split = 1
        while split * 2 < len(leaves):
            split *= 2
        return sha256(b"\x01" + tree(leaves[:split]) + tree(leaves[split:])).digest()

    root = Root()
    for each in hashes:
        root.add(each)
    assert root.digest() == tree(hashes)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda at: 1 < at.year < 9999))
def test_times_are_exact(at: datetime) -> None:
    assert checkpoint.instant(checkpoint.micros(at)) == at
    assert checkpoint.instant(checkpoint.micros(at) + 1) == at + timedelta(microseconds=1)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"no": 1}', '{"no": 1, "hash": 7, "key_id": "", "signature": ""}']
)
def test_a_file_without_a_checkpoint_is_refused(content: str) -> None:
    with pytest.raises(BadInput, match="checkpoint_unreadable"):
        checkpoint.read(content)
