"""What a call through the proxy takes longer than the same call to the provider, and whether streams fill memory.

The provider is the sandbox. Every proxied call is in the ledger, committed and on disk, before it leaves.
"""

import asyncio
import threading
from collections.abc import Iterator
from statistics import median
from urllib.parse import urlsplit

import load
import workshop
from figures import Figure, Times, difference, mib, ms
from installation import Installation, Process
from workshop import Workshop

_SCOPES = "user-read-private user-read-email"
_PATH = "/v1/me"
_P50, _P99 = 0.003, 0.010
_FLAT = 16 * 2**20


def measure(shop: Workshop) -> Iterator[Figure]:
    with shop.site() as site:
        process = workshop.serve(site)
        browser = site.browser()
        site.sign_in(browser)
        site.connect(browser)
        grant = site.grant(browser)["grant"]
        browser.close()
        for concurrency in (1, 16):
            yield from _added(shop, site, process, grant, concurrency)
        yield _streamed(shop, process, grant)


def _added(shop: Workshop, site: Installation, process: Process, grant: str, concurrency: int) -> Iterator[Figure]:
    provider = urlsplit(site.sandbox.url)
    assert provider.port is not None
    token = site.sandbox.tokens("spotify", _SCOPES)["access_token"]
    own = load.request(f"/spotify{_PATH}", host=provider.netloc, authorization=f"Bearer {token}")
    host = f"localhost:{process.port}"
    proxied = load.request(f"/api/proxy/spotify{_PATH}", host=host, authorization=f"Bearer {grant}")
    direct: list[Times] = []
    through: list[Times] = []
    before = workshop.cpu_seconds(process.popen.pid)
    for _ in range(shop.rounds(6)):
        direct.append(_round(shop, provider.port, own, concurrency))
        through.append(_round(shop, process.port, proxied, concurrency))
    for name, target in (("p50", _P50), ("p99", _P99)):
        added = median(getattr(a, name) - getattr(b, name) for a, b in zip(through, direct, strict=True))
        yield Figure(
            area="proxy",
            what=f"`GET {_PATH}`, concurrency {concurrency}, {name}",
            value=ms(median(getattr(one, name) for one in through)),
            baseline=ms(median(getattr(one, name) for one in direct)),
            compared=difference(added),
            target=f"≤+{ms(target)}",
            met=added <= target,
        )
    cost = (workshop.cpu_seconds(process.popen.pid) - before) / sum(len(one.seconds) for one in through)
    yield Figure(area="proxy", what=f"the proxy's CPU for a call, concurrency {concurrency}", value=ms(cost))


def _round(shop: Workshop, port: int, sent: bytes, concurrency: int) -> Times:
    return asyncio.run(load.repeat(port, sent, concurrency=concurrency, seconds=shop.seconds(3)))


def _streamed(shop: Workshop, process: Process, grant: str) -> Figure:
    size = (64 if shop.quick else 1024) * 2**20
    # A first answer, so that pools and buffers are there.
    asyncio.run(_stream(process, grant, 2**20))
    before = workshop.resident(process.popen.pid)
    watch = _Peak(process.popen.pid)
    seconds = asyncio.run(_stream(process, grant, size))
    grown = watch.stop() - before
    return Figure(
        area="proxy",
        what=f"memory grown while {mib(size)} stream through, {size / 2**20 / seconds:.0f} MiB/s",
        value=mib(grown),
        baseline=mib(before),
        target=f"flat (≤{mib(_FLAT)})",
        met=grown <= _FLAT,
    )


async def _stream(process: Process, grant: str, size: int) -> float:
    path = f"/api/proxy/spotify/v1/stream?bytes={size}"
    sent = load.request(path, host=f"localhost:{process.port}", authorization=f"Bearer {grant}")
    async with load.Client(process.port) as client:
        answer = await client.send(sent)
    if (answer.status, answer.size) != (200, size):
        raise RuntimeError(f"the stream was answered {answer}")
    return answer.seconds


class _Peak:
    """The most memory that a process had since."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._done.is_set():
            self._peak = max(self._peak, workshop.resident(self._pid))
            self._done.wait(0.02)
