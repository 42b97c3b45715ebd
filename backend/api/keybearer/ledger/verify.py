"""Walks the chain from its beginning, or from where its archive ends, and names the first thing that is wrong.

Whoever can write to the database can change rows and batches, but cannot sign: each check below rests on signatures of
keys that only the signing keyring's directory holds, and on ranges that leave no gap where a row could hide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from keybearer.keys.signing import SigningKeyring
from keybearer.ledger import chain
from keybearer.ledger.chain import NO_BATCH, Archived, Batch, Root, Seal, StoredRow
from keybearer.ledger.checkpoint import Checkpoint

_BATCHES_AT_ONCE = 200
_ROWS_AT_ONCE = 2_000
_FIRST = -(2**63)
_BEGINNING = Archived(no=0, era=0, to_xid=0, hash=NO_BATCH, at=0, key_id="")


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

    async def archived(self) -> Archived | None:
        """Where it begins, unless with batch 1."""

    async def remainder(self, ends: dict[int, int], archived: Archived | None) -> Remainder:
        """`ends`: the last sealed transaction id of each era that has batches."""


@dataclass(frozen=True, slots=True)
class Report:
    """How far the chain is proved. `problem` is None when nothing is wrong, else the first thing that is.

    `archived`: where the proof began, unless with batch 1.
    """

    batches: int
    rows: int
    last: Batch | None
    remainder: Remainder | None
    problem: str | None
    archived: Archived | None = None


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
    while True:
        archived = await books.archived()
        report = await _verify(books, signers, archived, checkpoints, progress)
        # What was archived while we looked is missing where we began.
        if report.problem is None or await books.archived() == archived:
            return report


async def prove(
    books: Books, signers: SigningKeyring, archived: Archived | None, *, checkpoints: Sequence[Checkpoint] = ()
) -> Batch | None:
    """Of files: the last batch, when all that follow on `archived` are as they were sealed. Raises Broken."""
    walk = _Walk(books, signers, archived, checkpoints)
    await walk.run(lambda _batches, _rows: None)
    return walk.last


async def _verify(
    books: Books,
    signers: SigningKeyring,
    archived: Archived | None,
    checkpoints: Sequence[Checkpoint],
    progress: Callable[[int, int], None],
) -> Report:
    walk = _Walk(books, signers, archived, checkpoints)
    try:
        for checkpoint in checkpoints:
            _check_own_signature(checkpoint, signers)
        _check_archived(archived, signers)
        await walk.run(progress)
    except Broken as problem:
        return Report(walk.batches, walk.rows, walk.last, None, str(problem), archived)
    remainder = await books.remainder(walk.ends, archived)
    return Report(walk.batches, walk.rows, walk.last, remainder, remainder.stray, archived)


class _Walk:
    def __init__(
        self,
        books: Books,
        signers: SigningKeyring,
        archived: Archived | None,
        checkpoints: Sequence[Checkpoint],
    ) -> None:
        self._books = books
        self._signers = signers
        self._archived = archived
        self._checkpoints = checkpoints
        self.batches = 0
        self.rows = 0
        self.last: Batch | None = None
        self.ends: dict[int, int] = {} if archived is None else {archived.era: archived.to_xid}

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
        self._check_archived_checkpoints()
        ended = self._before.no
        beyond = min((each.no for each in self._checkpoints if each.no > ended), default=None)
        if beyond is not None:
            raise Broken(
                f"batch {beyond} is missing: the checkpoint names it, but the ledger ends with batch {ended}. "
                "The end was cut off"
            )

    @property
    def _before(self) -> Seal | Archived:
        """What the next batch must follow on."""
        return self.last.seal if self.last is not None else self._archived or _BEGINNING

    def _check_place(self, batch: Batch) -> None:
        seal, before = batch.seal, self._before
        if seal.no != before.no + 1:
            raise Broken(f"batch {before.no + 1} is missing: the next one found is batch {seal.no}")
        if seal.previous_hash != before.hash:
            raise Broken(f"batch {seal.no} does not follow from the batch before it: one of the two was changed")
        if seal.era < before.era:
            raise Broken(f"batch {seal.no} is of era {seal.era}, which ended before it")
        start = before.to_xid if before.era == seal.era else 0
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

    def _check_archived_checkpoints(self) -> None:
        """Those of earlier batches say nothing of what is stored here; the files have those batches."""
        archived = self._archived
        if archived is None:
            return
        expected = {each.hash for each in self._checkpoints if each.no == archived.no}
        if expected and expected != {archived.hash}:
            raise Broken(f"batch {archived.no}, the last that was archived, is not the one that the checkpoint names")

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


def _check_archived(archived: Archived | None, signers: SigningKeyring) -> None:
    if archived is not None and not signers.verify(archived.key_id, archived.signature, archived.digest):
        raise Broken(f"the note that batches up to {archived.no} were archived was not signed by this installation")


def _check_own_signature(checkpoint: Checkpoint, signers: SigningKeyring) -> None:
    if not signers.verify(checkpoint.key_id, checkpoint.signature, checkpoint.hash):
        raise Broken(f"the checkpoint of batch {checkpoint.no} carries no signature of this installation")
