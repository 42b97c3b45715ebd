"""From the command to ready, and the memory then; beside a Python that imports the same libraries and does nothing."""

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

import pinned
import workshop
from figures import Figure, mib
from workshop import Workshop

_LIBRARIES = """
import asyncpg, fastapi, httpx2, joserfc.jwt, prometheus_client, sqlalchemy.ext.asyncio, structlog, typer
import uvicorn, uvloop
import cryptography.hazmat.primitives.ciphers.aead, yaml, psutil
print(psutil.Process().memory_info().rss)
"""
_SECONDS = 2.0
_BYTES = 150 * 2**20


def measure(shop: Workshop) -> Iterator[Figure]:
    times, works, sizes, bare_times, bare_sizes = [], [], [], [], []
    with shop.site() as site:
        workshop.serve(site).terminate()  # the first start compiles modules and creates the signing state
        for _ in range(shop.rounds(5)):
            begun = time.perf_counter()
            bare_sizes.append(_import_libraries())
            bare_times.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            process = workshop.serve(site)
            times.append(time.perf_counter() - begun)
            works.append(workshop.cpu_seconds(process.popen.pid))
            sizes.append(workshop.resident(process.popen.pid))
            process.terminate()
    took, size = median(times), median(sizes)
    yield Figure(
        area="start",
        what="`keybearer serve` to ready",
        value=f"{took:.2f} s",
        baseline=f"{median(bare_times):.2f} s",
        compared=f"{took / median(bare_times):.1f}×",
        target="≤2 s",
        met=took <= _SECONDS,
    )
    yield Figure(area="start", what="its CPU time until then", value=f"{median(works):.2f} s")
    yield Figure(
        area="start",
        what="its memory when ready (RSS)",
        value=mib(size),
        baseline=mib(median(bare_sizes)),
        compared=f"{size / median(bare_sizes):.1f}×",
        target="≤150 MiB",
        met=size <= _BYTES,
    )


def _import_libraries() -> int:
    """Bytes of its memory."""
    command = pinned.command(pinned.SERVER_CORE, sys.executable, "-c", _LIBRARIES)
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
