"""Run by test_full.py in a mount namespace of its own: a database on a volume of 160 MiB, filled and freed again.

Prints what each step met, as JSON lines.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

from keybearer.cli import postgres
from keybearer.events.service import Events
from keybearer.kit.database import Database
from keybearer.kit.errors import KeybearerError
from keybearer.migrations import cluster, runner

TENANT = UUID("00000000-0000-7000-8000-000000000001")
LEFT = 1 << 20  # bytes; so little that a table cannot grow, and enough for the WAL segment that is being written


async def write(db: Database, person: UUID, number: int) -> str | None:
    """The code of the refusal, None when it was acknowledged. Random text, which PostgreSQL cannot compress away."""
    try:
        async with db.transaction(TENANT) as tx:
            await Events(db).publish(tx, TENANT, person, "grant.revoked", {"id": number, "x": os.urandom(50_000).hex()})
    except KeybearerError as error:
        return error.code
    return None


async def main(server: postgres.Server, volume: Path) -> None:
    await cluster.prepare(
        server.superuser_dsn(), database="keybearer", app_password="app", migration_password="migrator"
    )
    await runner.migrate(server.dsn(cluster.MIGRATION_LOGIN, "migrator", "keybearer"))
    db, person = Database(server.dsn(cluster.APP_LOGIN, "app", "keybearer")), uuid4()
    space = os.statvfs(volume)
    filler = volume / "filler"
    filler.write_bytes(bytes(space.f_bavail * space.f_frsize - LEFT))

    acknowledged, met = 0, None
    for number in range(200):
        met = await write(db, person, number)
        if met is not None:
            break
        acknowledged += 1
    print(json.dumps({"acknowledged": acknowledged, "met": met}), flush=True)
    await db.ping()

    filler.unlink()
    print(json.dumps({"met": await write(db, person, 1000)}), flush=True)
    async with db.transaction(TENANT) as tx:
        rows = (await tx.exec_driver_sql("SELECT count(*) FROM outbox")).scalar_one()
    print(json.dumps({"rows": rows}), flush=True)
    await db.close()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "none", str(place)], check=True)
    with postgres.running(place / "data", settings={"max_wal_size": "64MB"}) as running:
        asyncio.run(main(running, place))
