"""Walks the chain from its beginning and names the first thing that is wrong.

Whoever can write to the database can change rows and batches, but cannot sign: each check below rests on signatures of
keys that only the signing keyring's directory holds, and on ranges that leave no gap where a row could hide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from keybearer.keys.signing import SigningKeyring
from keybearer.ledger import chain
from keybearer.ledger.chain import NO_BATCH, Batch, Root, StoredRow
from keybearer.ledger.checkpoint import Checkpoint

_BATCHES_AT_ONCE = 200
_ROWS_AT_ONCE = 2_000
_FIRST = -(2**63)


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is in no batch: still to be sealed, or out of place."""

    unsealed: int
    oldest_seconds: float | None
    stray: str | None


class Books(Protocol):
    """The stored ledger, readable across tenants."""

    async def batches(self, after: int, limit: int) -> Sequence[Batch]:
        """In the order of their numbers."""

    async def rows(
        self, era: int, from_xid: int, to_xid: int, after: tuple[int, int] | None, limit: int
    ) -> Sequence[StoredRow]:
        """In the order (xid, id), after the given one."""

    async def remainder(self, ends: dict[int, int]) -> Remainder:
        """`ends`: the last sealed transaction id of each era that has batches."""


@dataclass(frozen=True, slots=True)
class Report:
    """How far the chain is proved. `problem` is None when nothing is wrong, else the first thing that is."""

    batches: int
    rows: int
    last: Batch | None
    remainder: Remainder | None
    problem: str | None


class Broken(Exception):
    """Says what is wrong, and where."""


async def verify(
    books: Books,
    signers: SigningKeyring,
    *,
    checkpoints: Sequence[Checkpoint] = (),
    progress: Callable[[int, int], None] = lambda _batches, _rows: None,
) -> Report:
    """`progress` is told the numbers of batches and rows proved so far."""
    walk = _Walk(books, signers, checkpoints)
    try:
        for checkpoint in checkpoints:
            _check_own_signature(checkpoint, signers)
        await walk.run(progress)
    except Broken as problem:
        return Report(walk.batches, walk.rows, walk.last, None, str(problem))
    remainder = await books.remainder(walk.ends)
    return Report(walk.batches, walk.rows, walk.last, remainder, remainder.stray)


class _Walk:
    def __init__(self, books: Books, signers: SigningKeyring, checkpoints: Sequence[Checkpoint]) -> None:
        self._books = books
        self._signers = signers
        self._checkpoints = checkpoints
        self.batches = 0
        self.rows = 0
        self.last: Batch | None = None
        self.ends: dict[int, int] = {}

    async def run(self, progress: Callable[[int, int], None]) -> None:
        after = _FIRST
        while found := await self._books.batches(after, _BATCHES_AT_ONCE):
            for batch in found:
                self._check_place(batch)
                self._check_signature(batch)
                self._check_checkpoint(batch)
                await self._check_rows(batch)
                self.last = batch
                self.batches += 1
                self.ends[batch.seal.era] = batch.seal.to_xid
                progress(self.batches, self.rows)
            after = found[-1].seal.no
        ended = self.last.seal.no if self.last is not None else 0
        beyond = min((each.no for each in self._checkpoints if each.no > ended), default=None)
        if beyond is not None:
            raise Broken(
                f"batch {beyond} is missing: the checkpoint names it, but the ledger ends with batch {ended}. "
                "The end was cut off"
            )

    def _check_place(self, batch: Batch) -> None:
        seal, last = batch.seal, self.last.seal if self.last is not None else None
        expected = 1 if last is None else last.no + 1
        if seal.no != expected:
            raise Broken(f"batch {expected} is missing: the next one found is batch {seal.no}")
        if seal.previous_hash != (NO_BATCH if last is None else last.hash):
            raise Broken(f"batch {seal.no} does not follow from the batch before it: one of the two was changed")
        if last is not None and seal.era < last.era:
            raise Broken(f"batch {seal.no} is of era {seal.era}, which ended before it")
        start = last.to_xid if last is not None and last.era == seal.era else 0
        if seal.from_xid != start or seal.to_xid <= start:
            raise Broken(f"batch {seal.no} leaves a gap: it begins at transaction {seal.from_xid} instead of {start}")

    def _check_signature(self, batch: Batch) -> None:
        seal = batch.seal
        if seal.key_id not in self._signers.public:
            raise Broken(
                f"batch {seal.no} is signed with the key {seal.key_id!r}, which the signing keyring does not hold"
            )
        if not self._signers.verify(seal.key_id, batch.signature, seal.hash):
            raise Broken(f"batch {seal.no} was changed: its signature does not fit")

    def _check_checkpoint(self, batch: Batch) -> None:
        expected = {each.hash for each in self._checkpoints if each.no == batch.seal.no}
        if expected and expected != {batch.seal.hash}:
            raise Broken(
                f"batch {batch.seal.no} is not the one that the checkpoint names: the ledger was cut off or rewritten "
                "from there or before, and sealed anew"
            )

    async def _check_rows(self, batch: Batch) -> None:
        seal, root = batch.seal, Root()
        after: tuple[int, int] | None = None
        first: StoredRow | None = None
        while rows := await self._books.rows(seal.era, seal.from_xid, seal.to_xid, after, _ROWS_AT_ONCE):
            first = first or rows[0]
            for row in rows:
                root.add(chain.row_hash(row))
            after = (rows[-1].xid, rows[-1].id)
        where = f"batch {seal.no} (rows {first.id} to {after[1]})" if first and after else f"batch {seal.no}"
        if root.count < seal.count:
            raise Broken(f"{where} lacks rows: {seal.count} were sealed and {root.count} are left")
        if root.count > seal.count:
            raise Broken(f"{where} has rows that were never sealed: {seal.count} were, and {root.count} are there")
        if root.digest() != seal.root:
            raise Broken(f"{where} was changed: a row of it is not what was sealed")
        self.rows += root.count


def _check_own_signature(checkpoint: Checkpoint, signers: SigningKeyring) -> None:
    if not signers.verify(checkpoint.key_id, checkpoint.signature, checkpoint.hash):
        raise Broken(f"the checkpoint of batch {checkpoint.no} carries no signature of this installation")
