"""A process that records calls and seals them until it is killed at a fault point, run by test_crash.py.

It prints the id of each call that was acknowledged to it, at once.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID, uuid4

import structlog
from keybearer.keys import keyring, signing
from keybearer.keys.envelope import Owner
from keybearer.keys.service import Keys
from keybearer.kit import faults
from keybearer.kit.database import Database
from keybearer.ledger.background import Sealer
from keybearer.ledger.calls import CallWriter
from keybearer.ledger.model import Entry

TENANT = UUID("00000000-0000-7000-8000-000000000001")


async def main(url: str, folder: Path, point: str, times: int) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    reached = 0

    async def kill() -> None:
        nonlocal reached
        reached += 1
        if reached == times:
            os.kill(os.getpid(), signal.SIGKILL)

    db, keys = Database(url), Keys(keyring.load(folder / "keyring"))
    sealer, writer = Sealer(db, signing.load(folder / "signing"), batch_rows=7), CallWriter(db, keys)
    person = uuid4()
    await keys.start(db)
    async with db.transaction(TENANT) as tx:
        key = await keys.ensure(tx, Owner.user(TENANT, person))
    await writer.start()
    faults.install(point, kill)

    async def call_for_ever() -> None:
        while True:
            entry = Entry(
                tenant_id=TENANT,
                action="proxy.call",
                outcome="pending",
                user_id=person,
                call_id=uuid4(),
                detail={"path": "/v1/me"},
            )
            await writer.started(entry, key)
            os.write(1, f"{entry.call_id}\n".encode())
            ended = Entry(tenant_id=TENANT, action="proxy.finished", user_id=person, call_id=entry.call_id, status=200)
            writer.finished(ended, key)

    async def seal_for_ever() -> None:
        while True:
            await sealer.run()
            await asyncio.sleep(0.01)

    await asyncio.gather(*(call_for_ever() for _ in range(8)), seal_for_ever())


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
