"""`GET /api/auth/me` with a session cookie, against a bare answer of the same size from the same server and core."""

from collections.abc import Iterator
from statistics import median

import load
import workshop
from figures import Figure, median_ratio, ms
from load import Round
from workshop import Workshop

PATH = "/api/auth/me"
_CONNECTIONS = 32


def measure(shop: Workshop) -> Iterator[Figure]:
    with shop.site() as site:
        process = workshop.serve(site)
        browser = site.browser()
        site.sign_in(browser)
        size = len(browser.get(PATH).content)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
        browser.close()
        with workshop.hello(size) as (bare_port, bare):
            mine: list[tuple[Round, float]] = []
            other: list[tuple[Round, float]] = []
            for _ in range(shop.rounds(6)):
                other.append(_round(shop, bare_port, bare.pid, cookie))
                mine.append(_round(shop, process.port, process.popen.pid, cookie))
    ratio = median_ratio([one.rate for one, _ in mine], [one.rate for one, _ in other])
    cost, bare_cost = (median(cpu for _, cpu in rounds) for rounds in (mine, other))
    yield Figure(
        area="hot path",
        what=f"`GET {PATH}`, {_CONNECTIONS} connections, requests a second",
        value=f"{median(one.rate for one, _ in mine):,.0f}",
        baseline=f"{median(one.rate for one, _ in other):,.0f}",
        compared=f"{ratio:.2f}×",
        target="≥0.8×",
        met=ratio >= 0.8,
    )
    yield Figure(
        area="hot path",
        what="CPU of the server for a request",
        value=f"{cost * 1e6:.0f} µs",
        baseline=f"{bare_cost * 1e6:.0f} µs",
        compared=f"{bare_cost / cost:.2f}× (bare ÷ ours)",
    )
    yield Figure(
        area="hot path",
        what="p99",
        value=ms(median(one.p99 for one, _ in mine)),
        baseline=ms(median(one.p99 for one, _ in other)),
    )


def _round(shop: Workshop, port: int, pid: int, cookie: str) -> tuple[Round, float]:
    """And the server's CPU seconds for a request."""
    before = workshop.cpu_seconds(pid)
    done = load.throughput(port, PATH, concurrency=_CONNECTIONS, seconds=shop.seconds(4), cookie=cookie)
    return done, (workshop.cpu_seconds(pid) - before) / done.requests
