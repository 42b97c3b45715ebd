"""How long a cookie or a grant still works in any of three processes after it was revoked through one of them.

Every process serves it from memory when the clock starts, which is when the revocation is sent. Then once more while
the packets of the listening connections are dropped, so that nobody is told and only the freshness rule is left.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import load
import relay
from figures import Figure, Times, ms
from installation import Browser, Installation, Process, free_port
from relay import Relay
from workshop import Workshop

_PROCESSES = 3
_PROMPT, _UNTOLD = 0.1, 1.0
_PAUSE = 0.002  # between two questions, so that asking does not keep the news from being handled
_ME = "/api/auth/me"
_UNSERVED = "/api/proxy/nobody/v1/me"  # a live grant is refused there with 403 or 404, a dead one with 401
_HITS = 'keybearer_session_cache_requests_total{result="hit"}'


def measure(shop: Workshop) -> Iterator[Figure]:
    folder = shop.folder / "relay"
    between = Relay(shop.server.socket_folder, folder)
    with between.running(), shop.site() as site:
        site.extra["LISTEN_DATABASE_URL"] = relay.url_through(site.database_url, folder)
        first = site.start()
        processes = [first, *(site.start(free_port()) for _ in range(_PROCESSES - 1))]
        person = site.browser()
        site.sign_in(person)
        site.connect(person)
        subjects = {"cookie": _Cookies(site), "grant": _Grants(site, person)}
        for name, subject in subjects.items():
            times = Times([_until_dead(processes, subject, None) for _ in range(3 if shop.quick else 110)])
            yield _figure(name, times, "told", "p99", times.p99, _PROMPT)
        for name, subject in subjects.items():
            times = Times([_until_dead(processes, subject, between) for _ in range(shop.rounds(15))])
            yield _figure(name, times, "packets dropped", "slowest", max(times.seconds), _UNTOLD)
        person.close()


def _figure(name: str, times: Times, when: str, which: str, value: float, target: float) -> Figure:
    return Figure(
        area="revocation",
        what=f"{name} dead in all of {_PROCESSES} processes, {when}, {which} of {len(times.seconds)}",
        value=ms(value),
        baseline=f"p50 {ms(times.p50)}",
        target=f"≤{ms(target)}",
        met=value <= target,
    )


class _Cookies:
    """Sessions, each revoked by its own log-out."""

    def __init__(self, site: Installation) -> None:
        self._site = site

    def make(self) -> tuple[bytes, bytes]:
        """What asks whether it lives, and what revokes it."""
        browser = self._site.browser()
        self._site.sign_in(browser)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
        browser.close()
        host = f"localhost:{self._site.port}"
        end = load.request("/api/auth/logout", host=host, method="POST", cookie=cookie, **{"content-length": "0"})
        return load.request(_ME, host=host, cookie=cookie), end


class _Grants:
    """Grants, each revoked by the person."""

    def __init__(self, site: Installation, person: Browser) -> None:
        self._site = site
        self._person = person

    def make(self) -> tuple[bytes, bytes]:
        grant = self._site.grant(self._person)
        cookie = "; ".join(f"{name}={value}" for name, value in self._person.client.cookies.items())
        host = f"localhost:{self._site.port}"
        end = load.request(f"/api/grants/{grant['id']}", host=host, method="DELETE", cookie=cookie)
        return load.request(_UNSERVED, host=host, authorization=f"Bearer {grant['grant']}"), end


def _until_dead(processes: list[Process], subject: _Cookies | _Grants, dropping: Relay | None) -> float:
    ask, end = subject.make()
    try:
        return asyncio.run(_race(processes, ask, end, dropping))
    finally:
        if dropping is not None:
            dropping.heal()


async def _race(processes: list[Process], ask: bytes, end: bytes, dropping: Relay | None) -> float:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(load.Client(process.port)) for process in processes]
        revoker = await stack.enter_async_context(load.Client(processes[0].port))
        for process, client in zip(processes, clients, strict=True):
            await _warm(process, client, ask)
        if dropping is not None:
            dropping.drop()
        begun = time.perf_counter()
        revoked = asyncio.create_task(revoker.send(end))
        finished = await asyncio.gather(*(_refused(client, ask) for client in clients))
        if (await revoked).status != 204:
            raise RuntimeError(f"the revocation was answered {revoked.result().status}")
        return max(finished) - begun


async def _warm(process: Process, client: load.Client, ask: bytes) -> None:
    """Until it is answered from memory."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        before = _hits(process)
        if (await client.send(ask)).status == 401:
            raise RuntimeError("refused before it was revoked")
        if _hits(process) > before:
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("never answered from memory")


def _hits(process: Process) -> float:
    lines = process.internal("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(_HITS)), 0.0)


async def _refused(client: load.Client, ask: bytes) -> float:
    """When the first refusal was answered."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = await client.send(ask)
        if answer.status == 401:
            return answer.finished
        await asyncio.sleep(_PAUSE)
    raise RuntimeError("still alive after 10 s")
