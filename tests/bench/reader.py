"""Reads one credential again and again, in turns with a bare read, and prints the rounds as JSON.

`python reader.py CONNECTION CALLERS ROUNDS SECONDS`, with an installation's settings in the environment.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import uvloop
from figures import Times
from keybearer.bootstrap.services import Services, open_services
from keybearer.kit import logs, settings
from keybearer.ledger.model import Entry

TENANT = UUID("00000000-0000-7000-8000-000000000001")

Work = Callable[[], Awaitable[object]]


async def main(connection: UUID, callers: int, rounds: int, seconds: float) -> None:
    found = settings.read()
    logs.configure(level="warning", style="json")
    async with open_services(found, background=False) as services:
        works = _works(services, connection)
        measured = [
            {name: await _measure(work, callers, seconds) for name, work in works.items()} for _ in range(rounds)
        ]
        print(json.dumps(measured))


def _works(services: Services, connection: UUID) -> dict[str, Work]:
    async def bare() -> None:
        assert await services.db.read("bench_read", TENANT, connection)

    async def vault() -> None:
        await services.vault.access_token(TENANT, connection)

    async def recorded() -> None:
        credential = await services.vault.access_token(TENANT, connection)
        entry = Entry(
            tenant_id=TENANT,
            action="proxy.call",
            outcome="pending",
            actor_kind="agent",
            user_id=credential.user_id,
            connection_id=connection,
            provider=credential.provider,
            call_id=uuid4(),
            method="GET",
            detail={"account": credential.account_name, "path": "/v1/me"},
        )
        await services.calls.started(entry, credential.key)

    return {"bare": bare, "vault": vault, "recorded": recorded}


async def _measure(work: Work, callers: int, seconds: float) -> dict[str, float]:
    await asyncio.gather(*(work() for _ in range(callers)))  # every connection of the pool is open and its plans made
    alone = await _repeat(work, seconds / 4)
    begun = time.perf_counter()
    together = await asyncio.gather(*(_repeat(work, seconds) for _ in range(callers)))
    count = sum(len(times) for times in together)
    return {"rate": count / (time.perf_counter() - begun), "alone": Times(alone).p50}


async def _repeat(work: Work, seconds: float) -> list[float]:
    times = []
    until = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < until:
        await work()
        times.append(time.perf_counter() - begun)
    return times


uvloop.run(main(UUID(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
