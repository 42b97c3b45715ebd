"""Many callers in one process that want the same credential at once.

`python callers.py CONNECTION COUNT`, with an installation's settings in the environment. It prints
`ready`, waits for a line, and prints how long the slowest waited.
"""

import asyncio
import json
import sys
import time
from uuid import UUID

import uvloop
from keybearer.bootstrap.services import open_services
from keybearer.kit import logs, settings

TENANT = UUID("00000000-0000-7000-8000-000000000001")


async def main(connection: UUID, count: int) -> None:
    found = settings.read()
    logs.configure(level="warning", style="json")
    async with open_services(found, background=False) as services:
        await services.vault.access_token(TENANT, connection)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        begun = time.perf_counter()
        credentials = await asyncio.gather(*(services.vault.access_token(TENANT, connection) for _ in range(count)))
        slowest = time.perf_counter() - begun
    tokens = {credential.value for credential in credentials}
    assert len(tokens) == 1, "callers got different tokens"
    print(json.dumps({"slowest": slowest}))


uvloop.run(main(UUID(sys.argv[1]), int(sys.argv[2])))
