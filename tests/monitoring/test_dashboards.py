"""Dashboards ask for metrics and labels that exist, in PromQL that is valid, and say what each panel shows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring import known_metrics, promql
from monitoring.known_metrics import OPERATOR, OTHERS, TARGET
from monitoring.rules import CHART, FILES, ROOT, promtool, recorded, rules

DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
each_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
# What Grafana puts in, and what the rules that record add.
VARIABLES = {"$__rate_interval": "5m", "$namespace": "keybearer"}
RECORDED = frozenset({"namespace", "slo", "provider"})


def dashboard(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def expressions(path: Path) -> Iterator[tuple[str, str]]:
    """Each with its panel's title, with variables filled in."""
    for panel in panels(path):
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def test_their_uids_are_stable() -> None:
    """People link to them."""
    assert {path.stem: dashboard(path)["uid"] for path in DASHBOARDS} == {
        "operator": "keybearer-operator",
        "overview": "keybearer-overview",
        "sign-in": "keybearer-sign-in",
        "vault": "keybearer-vault",
    }


def test_the_page_lists_them() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"(?m)^\| ([\w -]+) \| `(keybearer-[a-z-]+)` \|", page))

    assert listed == {
        (dashboard(path)["title"].removeprefix("Keybearer / "), dashboard(path)["uid"]) for path in DASHBOARDS
    }


@each_dashboard
def test_every_panel_explains_itself(path: Path) -> None:
    for panel in panels(path):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
    titles = [panel["title"] for panel in panels(path)]
    assert len(titles) == len(set(titles))


@each_dashboard
def test_data_source_and_namespace_are_asked_for(path: Path) -> None:
    board = dashboard(path)
    variables = {each["name"]: each for each in board["templating"]["list"]}

    assert list(variables) == ["datasource", "namespace"]
    assert variables["datasource"]["type"] == "datasource"
    sources = [panel["datasource"] for panel in panels(path)]
    sources += [target["datasource"] for panel in panels(path) for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    for panel in panels(path):
        for target in panel["targets"]:
            selectors = re.findall(r"(?<![\w:])[a-z][\w:]*\{([^{}]*)", target["expr"])
            assert selectors, panel["title"]
            assert all('namespace="$namespace"' in selector for selector in selectors), panel["title"]


@each_dashboard
def test_panels_lie_side_by_side(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(path)["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard(path)["panels"]]
    assert len(ids) == len(set(ids))


@each_dashboard
def test_metrics_and_labels_exist(path: Path) -> None:
    known = known_metrics.backend() | OPERATOR | OTHERS | dict.fromkeys(recorded(), RECORDED)
    variable = next(each for each in dashboard(path)["templating"]["list"] if each["name"] == "namespace")
    problems = [] if variable["definition"].removeprefix("label_values(").partition(",")[0] in known else ["namespace"]
    for panel in panels(path):
        for target in panel["targets"]:
            found = promql.named(target["expr"])
            wanted = found.groupings | set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            problems += [f"{panel['title']}: {name}" for name in found.metrics - known.keys()]
            problems += [
                f"{panel['title']}: {metric} has no label {label}"
                for metric, label, _ in found.matchers
                if label not in known.get(metric, frozenset()) | TARGET
            ]
            of_all = frozenset().union(*(known.get(name, frozenset()) for name in found.metrics))
            problems += [f"{panel['title']}: nothing has the label {label}" for label in wanted - of_all - TARGET]

    assert not problems


@each_dashboard
def test_promtool_reads_what_they_ask(path: Path, tmp_path: Path) -> None:
    asked = [
        {"record": "dashboard:panel", "labels": {"number": str(number)}, "expr": expression}
        for number, (_, expression) in enumerate(expressions(path))
    ]
    file = tmp_path / "asked.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": asked}]}), encoding="utf-8")
    done = promtool("check", "rules", str(file))

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_metric_of_a_rule_can_be_looked_at() -> None:
    """Whoever is woken by one finds it on a dashboard, as far as it is Keybearer's own."""
    shown = {name for path in DASHBOARDS for _, text in expressions(path) for name in promql.named(text).metrics}
    used = {name for file in FILES for rule in rules(file) for name in promql.named(rule["expr"]).metrics}

    assert {name for name in used - shown if name.startswith("keybearer_")} == set()
