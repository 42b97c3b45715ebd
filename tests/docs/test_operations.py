"""docs/operations.md and docs/hardening.md name what exists: metrics, events, units, the chart's objects and values."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import asyncpg
import pytest
import yaml
from keybearer.cli import postgres

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "backend" / "api" / "keybearer"
CHART = ROOT / "charts" / "keybearer"
PAGES = [ROOT / "README.md", CHART / "README.md", *sorted(DOCS.rglob("*.md"))]
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
HARDENING = (DOCS / "hardening.md").read_text(encoding="utf-8")

NAME = re.compile(r"\bkeybearer_[a-z0-9_]*[a-z0-9]\b")
# A histogram is read as these.
PARTS = ("", "_bucket", "_sum", "_count")
METRIC_KINDS = frozenset({"Counter", "Gauge", "Histogram", "Summary"})
# Neither metrics nor roles: packages, cookies, nginx's own, and the tag of the front door's log.
OTHERS = frozenset(
    {"keybearer_agent", "keybearer_flow", "keybearer_front", "keybearer_operator", "keybearer_sandbox"}
    | {"keybearer_session", "keybearer_user"}
)


@cache
def metrics() -> dict[str, tuple[str, ...]]:
    """Every metric of the code with its labels."""
    return {name: labels for path in sorted(SOURCE.rglob("*.py")) for name, labels in _metrics_of(path)}


def _metrics_of(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in METRIC_KINDS:
            name, *_ = node.args or [None]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                labels = node.args[2] if len(node.args) > 2 else ast.Tuple([])
                yield name.value, tuple(ast.literal_eval(labels))


def roles() -> set[str]:
    """Those that are made, wherever they are."""
    text = (SOURCE / "migrations" / "roles.sql").read_text(encoding="utf-8")
    return set(NAME.findall(text)) | {"keybearer_exporter"}


def test_the_metrics_are_found() -> None:
    found = metrics()

    assert found["keybearer_http_requests_total"] == ("route", "method", "status")
    assert len(found) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_metrics_and_roles_of_every_page_exist(page: Path) -> None:
    known = {name + part for name in metrics() for part in PARTS} | roles() | OTHERS

    assert set(NAME.findall(page.read_text(encoding="utf-8"))) - known == set()


def test_the_rounds_are_for_both() -> None:
    """Each example says which of its commands is for what."""
    rounds = OPERATIONS.partition("# Each week")[2]
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```", rounds):
        told = {line for line in block.splitlines() if line.startswith("# ")}
        lines = [line for line in block.splitlines() if line and not line.startswith(("#", " "))]
        programs = {line.split()[0] for line in lines}
        if {"kubectl", "helm"} & programs:
            assert any(line.startswith("# a cluster") for line in told), block
        if {"systemctl", "journalctl", "keybearer"} & programs:
            assert any(line.startswith("# one machine") for line in told), block
    for heading in re.findall(r"(?m)^## (.+)$", rounds.partition("# Three in the morning")[0]):
        section = rounds.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        assert re.search(r"(?m)^Good: ", section), f"{heading} does not say what good looks like"


def test_events_exist() -> None:
    events = set(re.findall(r"(?m)^\| `([a-z_.]+)` \|", (DOCS / "logs.md").read_text(encoding="utf-8")))
    families = {event.partition(".")[0] for event in events}
    quoted = " ".join(re.findall(r"[`\"]([^`\"\n]+)[`\"]", OPERATIONS + HARDENING))
    dotted = re.findall(r"\b[a-z_]+(?:\.[a-z_]+)+\b", quoted)
    named = {name for name in dotted if name.partition(".")[0] in families} - values()

    assert "ledger.sealed" in named
    assert named - events == set()


def chart_objects() -> set[tuple[str, str]]:
    """Kind and name without the release's, as the templates and their helpers make them."""
    found = set()
    for path in (CHART / "templates").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for call in re.findall(r'include "keybearer\.cronJob" \(dict (.*)\)', text):
            found.add(("cronjob", _suffix(call)))
        for kind, call in re.findall(r'(?m)^kind: (\w+)\nmetadata:\n.*"keybearer\.metadata" \(dict (.*?)\)', text):
            found.add((kind.lower(), _suffix(call)))
        for call in re.findall(r'"keybearer\.availability" \(dict (.*?)\)', text):
            found.add(("horizontalpodautoscaler", _suffix(call)))
    return found


def _suffix(call: str) -> str:
    named = dict(re.findall(r'"(component|suffix)" "([a-z-]+)"', call))
    return named.get("suffix", named.get("component", ""))


def test_objects_of_the_chart_exist() -> None:
    known = chart_objects()
    assert ("cronjob", "restore-drill") in known
    shown = set()
    for page in (OPERATIONS, HARDENING):
        shown |= set(re.findall(r"\b(cronjob|deployment|statefulset)/keybearer-([a-z-]+)", page))

    assert shown
    assert shown - known == set()
    pods = set(re.findall(r"\bkeybearer-([a-z-]+)-0\b", OPERATIONS))
    assert {("statefulset", name) for name in pods} <= known
    components = set(re.findall(r"app\.kubernetes\.io/component=([a-z-]+)", OPERATIONS))
    assert {("deployment", name) for name in components} <= known


def test_units_exist() -> None:
    units = {path.stem for path in (DOCS / "systemd").glob("*.service")}
    named = set()
    for page in (OPERATIONS, HARDENING):
        named |= set(re.findall(r"(?:systemctl \w+|--unit) (keybearer[a-z-]*)", page))

    assert named
    assert named <= units


def values() -> set[str]:
    """Every value's path, and those of the folders that they are in."""

    def below(tree: object, path: str) -> Iterator[str]:
        yield path
        for key, branch in (tree if isinstance(tree, dict) else {}).items():
            yield from below(branch, f"{path}.{key}".lstrip("."))

    return set(below(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), ""))


def test_values_of_the_chart_exist() -> None:
    known = values()
    tops = {name for name in known if name and "." not in name}
    words = re.findall(r"`([a-z][a-zA-Z]*(?:\.[a-zA-Z]+)*)`", OPERATIONS + HARDENING)
    named = {word for word in words if word.partition(".")[0] in tops}
    assert {"trustedProxies", "networkPolicy.apiServer.to", "backend.resources.limits.memory"} <= named
    assert named - known == set()

    example = re.search(r"(?ms)^```yaml\n(.*?)^```", HARDENING)
    assert example is not None
    given = yaml.safe_load(example[1])
    assert set(given) <= tops
    assert {f"networkPolicy.{key}" for key in given["networkPolicy"]} <= known


def test_what_is_said_of_values_is_their_default() -> None:
    given = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    policy = given["networkPolicy"]

    assert policy["ingressFrom"] == policy["apiServer"]["to"] == policy["backendTo"] == []
    assert policy["ipFamilies"] == ["IPv4"]
    assert "monitoring" in str(policy["monitoringFrom"])
    assert given["database"]["external"]["networks"] == [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
    assert "10.0.0.0/8" in given["trustedProxies"]


async def test_postgresql_takes_the_settings_of_its_log(tmp_path: Path) -> None:
    sql = re.search(r"(?ms)^```sql\n(.*?)^```", HARDENING)
    assert sql is not None
    statements = [line for line in sql[1].splitlines() if line]
    with postgres.running(tmp_path, settings={"fsync": "off"}) as server:
        connection = await asyncpg.connect(server.superuser_dsn())
        try:
            for statement in statements:
                await connection.execute(statement)
            written = await connection.fetch("SELECT * FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'")
        finally:
            await connection.close()

    assert len(written) == len(statements) - 1
    assert [row["error"] for row in written if row["error"]] == []


def test_the_chart_sets_its_log_alike() -> None:
    own = (CHART / "templates" / "_postgres.tpl").read_text(encoding="utf-8")
    for name, value in (("log_error_verbosity", "terse"), ("log_min_error_statement", "panic")):
        assert f"{name}: {value}" in own
        assert f"ALTER SYSTEM SET {name} = '{value}';" in HARDENING


def test_the_table_of_threats_is_short() -> None:
    rows = re.findall(r"(?m)^\| .* \|$", HARDENING.partition("# Threats")[2])

    assert 5 <= len(rows) - 1 <= 10
