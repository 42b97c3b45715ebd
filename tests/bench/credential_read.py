"""A credential from the vault, read and decrypted, against a bare primary-key read through the same pool.

The figures come from a process of its own (reader.py) that has the servers' core to itself.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pinned
import workshop
from figures import Figure, difference, median_ratio, ms
from installation import Installation
from workshop import Workshop

_READER = str(Path(__file__).with_name("reader.py"))
_CALLERS = 8
# The same row without row-level security. PostgreSQL inlines such a function: it runs the plain SELECT.
_PLAIN = """
CREATE TABLE keybearer.bench_plain AS TABLE keybearer.connections;
ALTER TABLE keybearer.bench_plain ADD PRIMARY KEY (tenant_id, id);
ANALYZE keybearer.bench_plain, keybearer.connections, keybearer.data_keys;
GRANT SELECT ON keybearer.bench_plain TO keybearer_app;
CREATE FUNCTION keybearer.bench_read(tenant uuid, connection uuid)
RETURNS SETOF keybearer.bench_plain LANGUAGE sql STABLE
AS 'SELECT * FROM keybearer.bench_plain WHERE tenant_id = tenant AND id = connection';
"""


def measure(shop: Workshop) -> Iterator[Figure]:
    with shop.site() as site:
        connection_id = _connect(site)
        asyncio.run(shop.execute(_PLAIN, site.database_url.rpartition("?")[0].rpartition("/")[2]))
        rounds = _run(shop, site, connection_id)
    rates = {name: [one[name]["rate"] for one in rounds] for name in ("bare", "vault", "recorded")}
    alone = {name: median(one[name]["alone"] for one in rounds) for name in ("bare", "vault", "recorded")}
    ratio = median_ratio(rates["vault"], rates["bare"])
    yield Figure(
        area="credential read",
        what=f"`access_token`, {_CALLERS} callers, reads a second",
        value=f"{median(rates['vault']):,.0f}",
        baseline=f"{median(rates['bare']):,.0f}",
        compared=f"{ratio:.2f}×",
        target="≥0.7×",
        met=ratio >= 0.7,
    )
    yield Figure(
        area="credential read",
        what="one caller, p50",
        value=ms(alone["vault"]),
        baseline=ms(alone["bare"]),
        compared=difference(alone["vault"] - alone["bare"]),
    )
    recorded = median_ratio(rates["recorded"], rates["bare"])
    yield Figure(
        area="credential read",
        what=f"with its ledger row committed, {_CALLERS} callers, a second",
        value=f"{median(rates['recorded']):,.0f}",
        baseline=f"{median(rates['bare']):,.0f}",
        compared=f"{recorded:.2f}×",
    )
    yield Figure(
        area="credential read",
        what="with its ledger row committed, one caller, p50",
        value=ms(alone["recorded"]),
        baseline=ms(alone["bare"]),
        compared=difference(alone["recorded"] - alone["bare"]),
    )


def _connect(site: Installation) -> str:
    process = workshop.serve(site)
    browser = site.browser()
    site.sign_in(browser)
    connection: str = site.connect(browser)["id"]
    browser.close()
    process.terminate()
    return connection


def _run(shop: Workshop, site: Installation, connection_id: str) -> list[dict[str, dict[str, float]]]:
    words = (connection_id, str(_CALLERS), str(shop.rounds(6)), str(shop.seconds(1.5)))
    done = subprocess.run(
        pinned.command(pinned.SERVER_CORE, sys.executable, _READER, *words),
        env=site.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rounds: list[dict[str, dict[str, float]]] = json.loads(done.stdout.splitlines()[-1])
    return rounds
