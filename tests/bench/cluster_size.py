"""What a call costs on the cluster that KUBECONFIG names, and so what each values file carries.

    python tests/bench/cluster_size.py [--seconds 60] [--rate 20] [--write]

Installs the chart in a namespace of its own, which goes at the end; its images must be on the nodes. CPU is the
kubelet's count of what each container used, less what it used without calls.
"""

import argparse
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))  # as pytest has it

import machine  # noqa: E402
import report  # noqa: E402
import yaml  # noqa: E402
from cluster import release as releases  # noqa: E402
from cluster.kube import CHART, Namespace, namespaced, run  # noqa: E402
from cluster.release import Release, load  # noqa: E402
from figures import Figure, mib  # noqa: E402
from installation import Browser  # noqa: E402

PAGE = REPOSITORY / "docs" / "kubernetes.md"
CALLS = {
    "me": "a session is checked (`GET /api/auth/me`)",
    "connections": "connections are listed",
    "proxy": "a call goes through the proxy",
    "sign_in": "a person signs in with Google",
}
PARTS = {"backend": "backend", "nginx": "nginx", "postgres": "PostgreSQL"}
SIZES = ("small", "", "medium", "large")
SETTLED_SECONDS = 20
# The kubelet looks at its containers every ten seconds or so.
_LATE_SECONDS = 15
_USED = re.compile(r'^container_(\w+)\{container="([\w-]+)",namespace="([\w-]+)",[^}]*\} (\S+)', re.MULTILINE)


@dataclass(frozen=True)
class Usage:
    """Of all containers of a name: CPU seconds since their start, and bytes of the biggest one."""

    cpu: Counter[str]
    memory: dict[str, float]


def usage(namespace: Namespace) -> Usage:
    time.sleep(_LATE_SECONDS)
    cpu: Counter[str] = Counter()
    memory: dict[str, float] = {}
    for node in run("kubectl", "get", "nodes", "-o", "name").split():
        text = run("kubectl", "get", "--raw", f"/api/v1/nodes/{node.removeprefix('node/')}/proxy/metrics/resource")
        for what, container, of, value in _USED.findall(text):
            if of != namespace.name:
                continue
            if what == "cpu_usage_seconds_total":
                cpu[container] += float(value)  # type: ignore[assignment]
            elif what == "memory_working_set_bytes":
                memory[container] = max(memory.get(container, 0.0), float(value))
    return Usage(cpu, memory)


def costs(release: Release, seconds: float, rate: float) -> tuple[dict[str, dict[str, float]], Usage]:
    """CPU seconds by call and part, and what was used at the end."""
    browser = Browser(release.url)
    release.sign_in(browser)
    release.connect(browser)
    grant = release.grant(browser)
    time.sleep(SETTLED_SECONDS)
    before = usage(release.namespace)
    time.sleep(seconds)
    after = usage(release.namespace)
    idle = {part: (after.cpu[part] - before.cpu[part]) / (seconds + _LATE_SECONDS) for part in PARTS}
    found = {}
    for call in CALLS:
        _say(f"{call}: {rate:.0f} a second for {seconds:.0f} s")
        before, began = usage(release.namespace), time.monotonic()
        seen = load(release, f"size-{call.replace('_', '-')}", browser, grant, seconds=seconds, rate=rate, only=call)
        answers = Counter(seen.seen()["answers"])
        after, took = usage(release.namespace), time.monotonic() - began
        wrong = {answer: count for answer, count in answers.items() if int(answer.split()[-1]) >= 400}
        if wrong or not answers:
            raise SystemExit(f"{call} was answered with {dict(answers)}")
        found[call] = {
            part: max(0.0, after.cpu[part] - before.cpu[part] - idle[part] * took) / answers.total() for part in PARTS
        }
    browser.close()
    return found, after


def carried(values: dict[str, Any], cost: dict[str, float]) -> tuple[float, str]:
    """Calls a second, and which part is the first that is full: pods at 70 % of their requests, PostgreSQL at all."""
    limits = {
        "backend": values["backend"]["hpa"]["max"] * _cpu(values["backend"]) * 0.7,
        "nginx": values["frontendProxy"]["hpa"]["max"] * _cpu(values["frontendProxy"]) * 0.7,
        "postgres": _cpu(values["postgres"]),
    }
    rates = {part: limits[part] / cost[part] for part in PARTS if cost[part] > 0}
    first = min(rates, key=lambda part: rates[part])
    return rates[first], first


def values_of(size: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    if size:
        _merge(values, yaml.safe_load((CHART / f"values-{size}.yaml").read_text()))
    return values


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _cpu(part: dict[str, Any]) -> float:
    text = str(part["resources"]["requests"]["cpu"])
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


def figures(found: dict[str, dict[str, float]], after: Usage) -> list[Figure]:
    rows = [
        Figure(
            area="a call",
            what=CALLS[call],
            value=", ".join(f"{PARTS[part]} {cost[part] * 1000:.1f}" for part in PARTS) + " ms of CPU",
        )
        for call, cost in found.items()
    ]
    memory = ", ".join(f"{PARTS[part]} {mib(after.memory[part])}" for part in PARTS)
    rows.append(Figure(area="memory", what="the biggest pod of each, afterwards", value=memory))
    for size in SIZES:
        name = f"`values-{size}.yaml`" if size else "no values file"
        for call, cost in found.items():
            rate, first = carried(values_of(size), cost)
            rows.append(Figure(area=name, what=CALLS[call], value=f"{rate:,.0f} a second, then {PARTS[first]} is full"))
    return rows


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--write", action="store_true", help="into docs/kubernetes.md")
    options = parser.parse_args()
    watch = machine.Watch()
    run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", str(CHART / "files" / "crds"))
    # Nothing is scaled meanwhile: a pod that goes takes its seconds with it.
    fixed = {"backend": {"hpa": {"min": 2, "max": 2}}, "frontendProxy": {"hpa": {"min": 1, "max": 1}}}
    with namespaced("keybearer-size") as namespace, releases.installed(namespace, **fixed) as release:
        measured = figures(*costs(release, options.seconds, options.rate))
    report.tell(PAGE, measured, watch, mark="size", keep=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
