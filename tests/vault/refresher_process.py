"""A process that asks the vault for one token, and can be told to die at a fault point. Run by test_kills.py.

Prints the code of the error, or "token", as its last line.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from keybearer.events.service import Events
from keybearer.keys import keyring
from keybearer.keys.service import Keys
from keybearer.kit import faults
from keybearer.kit.breaker import Breakers
from keybearer.kit.database import Database
from keybearer.kit.errors import KeybearerError
from keybearer.kit.leases import process_name
from keybearer.kit.outbound import Outbound
from keybearer.ledger.service import Ledger
from keybearer.providers import catalogue
from keybearer.providers.service import Providers
from keybearer.vault.refresh.timings import Timings
from keybearer.vault.service import Vault

TENANT = UUID("00000000-0000-7000-8000-000000000001")
TIMINGS = Timings(lease=1.5, confirm=0.1, unknown=(0.1, 0.2, 0.4), transient=(0.1, 0.2))


async def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(url: str, keys_folder: str, providers_folder: str, sandbox: str, connection: str, point: str) -> None:
    db = Database(url)
    keys = Keys(keyring.load(Path(keys_folder)))
    await keys.start(db)
    outbound = Outbound([sandbox])
    providers = Providers(catalogue.load(Path(providers_folder)), outbound)
    vault = Vault(
        db,
        keys,
        providers,
        Ledger(db, keys),
        Events(db),
        breakers=Breakers(),
        owner=process_name(),
        timings=TIMINGS,
    )
    if point:
        faults.install(point, die)
    try:
        await vault.access_token(TENANT, UUID(connection))
        print("token")
    except KeybearerError as error:
        print(error.code)
    await vault.stop()
    await outbound.aclose()
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
