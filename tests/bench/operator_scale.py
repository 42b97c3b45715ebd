"""1,000 AgentPools and 500 SecretRotations on the cluster that KUBECONFIG names: how late and how big the operator is.

    python tests/bench/operator_scale.py [--pools 1000] [--rotations 500] [--write]

The operator is a process here; whatever pods the cluster makes of the pools may be pretended ones or stay pending. All
is in a namespace of its own, which goes at the end.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import machine
import report
from figures import Figure, Times, mib, ms
from keybearer_operator.kube import AGENT_POOLS, DEPLOYMENTS, SECRET_ROTATIONS, SECRETS, Kube, Object, connected
from keybearer_operator.login import login
from keybearer_operator.rotation import material

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
POOL_SAMPLES, ROTATION_SAMPLES = 300, 50
RATE = 10.0
PATIENCE = 300.0


def pool(name: str) -> Object:
    """For nodes that pretend, where there are any."""
    template = {
        "nodeSelector": {"type": "kwok"},
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        "containers": [{"name": "agent", "image": "agent", "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}],
    }
    return {
        "apiVersion": AGENT_POOLS.api_version,
        "kind": AGENT_POOLS.kind,
        "metadata": {"name": name},
        "spec": {
            "agentName": name,
            "livekit": {"url": "ws://livekit:7880", "credentialsRef": {"name": "livekit"}},
            "capacity": {"min": 1, "max": 10},
            "template": {"spec": template},
        },
    }


def rotation(name: str) -> Object:
    return {
        "apiVersion": SECRET_ROTATIONS.api_version,
        "kind": SECRET_ROTATIONS.kind,
        "metadata": {"name": name},
        "spec": {
            "type": "AESKeyring",
            "secretRef": {"name": name},
            "consumers": [{"kind": "Deployment", "name": "backend", "mode": "HotReload"}],
        },
    }


def keyring(name: str) -> Object:
    data = {"k1": material.new_encryption_key().decode(), "primary": "k1\n"}
    return {"metadata": {"name": name}, "stringData": data}


class Seen:
    """When an object of the cluster first was as it should be, by a watch of our own."""

    def __init__(self, client: httpx2.AsyncClient, path: str, shows: Callable[[Object], str]) -> None:
        self._client = client
        self._path = path
        self._shows = shows
        self.at: dict[tuple[str, str], float] = {}

    async def watch(self) -> None:
        while True:
            async with self._client.stream("GET", self._path, params={"watch": "1"}, timeout=None) as stream:
                async for line in stream.aiter_lines():
                    found = json.loads(line)["object"]
                    if "name" in found["metadata"]:
                        key = (found["metadata"]["name"], self._shows(found))
                        self.at.setdefault(key, time.monotonic())

    async def when(self, name: str, shows: str) -> float:
        deadline = time.monotonic() + PATIENCE
        while (name, shows) not in self.at:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} did not become {shows}")
            await asyncio.sleep(0.01)
        return self.at[name, shows]


@asynccontextmanager
async def operator(namespace: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The process and the port of its metrics."""
    metrics, health = _port(), _port()
    environment = {
        **os.environ,
        "KEYBEARER_OPERATOR_NAMESPACE": namespace,
        "KEYBEARER_OPERATOR_METRICS_PORT": str(metrics),
        "KEYBEARER_OPERATOR_HEALTH_PORT": str(health),
        "KEYBEARER_LOG_LEVEL": "warning",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "keybearer_operator", env=environment)
    try:
        yield process, metrics
    finally:
        process.terminate()
        await process.wait()


async def measure(pools: int, rotations: int) -> list[Figure]:
    at = login()
    limits = httpx2.Limits(max_connections=40)
    async with (
        httpx2.AsyncClient(base_url=at.server, verify=at.as_ssl_context(), trust_env=False, limits=limits) as client,
        connected(login) as kube,
    ):
        namespace = f"operator-bench-{os.getpid()}"
        (await client.post("/api/v1/namespaces", json={"metadata": {"name": namespace}})).raise_for_status()
        try:
            return await _measure(client, kube, namespace, pools, rotations)
        finally:
            await client.delete(f"/api/v1/namespaces/{namespace}")


async def _measure(client: httpx2.AsyncClient, kube: Kube, namespace: str, pools: int, rotations: int) -> list[Figure]:
    children = Seen(client, DEPLOYMENTS.path(namespace), lambda found: str(found["spec"]["replicas"]))
    keys = Seen(client, SECRETS.path(namespace), lambda found: str(len(found.get("data", {}))))
    watching = [asyncio.create_task(each.watch()) for each in (children, keys)]
    await kube.create(DEPLOYMENTS, namespace, _no_backend())
    await _each(rotations, lambda number: kube.create(SECRETS, namespace, keyring(f"r{number}")))
    await _each(pools, lambda number: kube.create(AGENT_POOLS, namespace, pool(f"p{number}")))
    await _each(rotations, lambda number: kube.create(SECRET_ROTATIONS, namespace, rotation(f"r{number}")))

    async with operator(namespace) as (process, port):
        began = time.monotonic()
        for number in range(pools):
            await children.when(f"p{number}", "1")
        all_made = time.monotonic() - began
        _say(f"all Deployments are there after {all_made:.0f} s")
        await _quiet(port)
        _say("pools are changed")
        scaled = await _late(
            POOL_SAMPLES,
            pools,
            children,
            lambda number: kube.patch(AGENT_POOLS, namespace, f"p{number}", {"spec": {"replicas": 2}}),
            lambda number: (f"p{number}", "2"),
        )
        _say(f"p50 {ms(scaled.p50)}, p99 {ms(scaled.p99)}")
        mark = {"metadata": {"annotations": {"keybearer.dev/rotate-now": "bench"}}}
        _say("rotations are asked for")
        staged = await _late(
            ROTATION_SAMPLES,
            rotations,
            keys,
            lambda number: kube.patch(SECRET_ROTATIONS, namespace, f"r{number}", mark),
            lambda number: (f"r{number}", "3"),
        )
        _say(f"p50 {ms(staged.p50)}, p99 {ms(staged.p99)}; nothing is changed for a minute")
        await _quiet(port)
        before = await _reconciles(port), time.monotonic(), _cpu(process.pid)
        await asyncio.sleep(60)
        after = await _reconciles(port), time.monotonic(), _cpu(process.pid)
        memory = _memory(process.pid)
    for task in watching:
        task.cancel()
    seconds = after[1] - before[1]
    done = sum(after[0].values()) - sum(before[0].values())
    resync = (pools + rotations) / max(done, 1) * seconds
    area = "operator"
    return [
        Figure(area=area, what=f"from its start until {pools:,} pools have their Deployment", value=ms(all_made)),
        _figure(f"pool changed → Deployment written, p99 of {len(scaled.seconds)}", scaled, 1.0),
        _figure(f"rotation asked for → key staged in the Secret, p99 of {len(staged.seconds)}", staged, None),
        Figure(area=area, what="every object looked at once, while nothing happens, takes", value=ms(resync)),
        Figure(area=area, what="CPU meanwhile, of one core", value=f"{(after[2] - before[2]) / seconds:.0%}"),
        Figure(
            area=area,
            what="memory, resident, at most",
            value=mib(memory),
            target="≤250 MiB",
            met=memory <= 250 * 2**20,
        ),
    ]


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)


def _figure(what: str, times: Times, target: float | None) -> Figure:
    return Figure(
        area="operator",
        what=what,
        value=ms(times.p99),
        baseline=f"p50 {ms(times.p50)}",
        target=f"≤{ms(target)}" if target else "–",
        met=times.p99 <= target if target else None,
    )


async def _late(
    samples: int, count: int, seen: Seen, change: Callable[[int], Any], wanted: Callable[[int], tuple[str, str]]
) -> Times:
    """Of a sample, changed one after the other at a steady rate."""
    sample = range(0, count, max(1, count // samples))
    changed: dict[int, float] = {}
    for number in sample:
        await change(number)
        changed[number] = time.monotonic()
        await asyncio.sleep(1 / RATE)
    return Times([max(0.0, await seen.when(*wanted(number)) - at) for number, at in changed.items()])


async def _each(count: int, make: Callable[[int], Any]) -> None:
    for first in range(0, count, 20):
        await asyncio.gather(*(make(number) for number in range(first, min(count, first + 20))))


async def _quiet(port: int) -> None:
    """Until a few seconds bring no more than a resync does."""
    last = -1.0
    for _ in range(60):
        now = sum((await _reconciles(port)).values())
        if last >= 0 and now - last < 150:
            return
        last = now
        await asyncio.sleep(5)


async def _reconciles(port: int) -> dict[str, float]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    lines = (
        line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("keybearer_operator_reconciles_total")
    )
    return {name: float(value) for name, value in lines}


def _no_backend() -> Object:
    labels = {"app": "backend"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "backend", "image": "backend"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "backend"}, "spec": spec}


def _memory(pid: int) -> int:
    """The highest that it was, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _cpu(pid: int) -> float:
    """Seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pools", type=int, default=1000)
    parser.add_argument("--rotations", type=int, default=500)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    options = parser.parse_args()
    watch = machine.Watch()
    figures = asyncio.run(measure(options.pools, options.rotations))
    report.tell(PAGE, figures, watch, mark="operator", keep=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
