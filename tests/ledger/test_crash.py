"""The process is killed at every step of recording and sealing, and another one carries on."""

import asyncio
import signal
from pathlib import Path
from uuid import UUID

import pytest
import warm
from keybearer.ledger import background
from keybearer.ledger.background import Sealer, StoredBooks
from keybearer.ledger.verify import verify

POINTS = {
    "ledger.call.queued": 60,
    "ledger.call.committed": 12,
    "ledger.call.acknowledged": 60,
    "ledger.call.finished": 3,
    "ledger.seal.selected": 4,
    "ledger.seal.signed": 4,
    "ledger.seal.inserted": 4,
    "ledger.seal.committed": 4,
}
PROGRAM = Path(__file__).parent / "crashing.py"


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at(point: str, database, db, keys, signers, tmp_path: Path, superuser) -> None:
    program = [str(PROGRAM), database.url, str(tmp_path), point, str(POINTS[point])]
    done = await asyncio.to_thread(warm.run, program, env=warm.environment())
    assert done.returncode == -signal.SIGKILL, done.stderr
    acknowledged = {UUID(line) for line in done.stdout.split()}
    assert acknowledged

    stored = await superuser.fetch("SELECT call_id FROM ledger WHERE action = 'proxy.call'")
    assert acknowledged <= {row["call_id"] for row in stored}
    assert (await verify(StoredBooks(db), signers)).problem is None

    await _seal_everything(Sealer(db, signers), db)
    report = await verify(StoredBooks(db), signers)
    assert report.problem is None
    assert report.remainder is not None
    assert report.remainder.unsealed == 0
    assert report.rows == await superuser.fetchval("SELECT count(*) FROM ledger")


async def _seal_everything(sealer: Sealer, db) -> None:
    """PostgreSQL ends the killed process's transactions when it notices; until then they hold sealing back."""
    async with asyncio.timeout(30):
        while True:
            await sealer.run()
            if (await background.measure(db))[0] == 0:
                return
            await asyncio.sleep(0.02)
