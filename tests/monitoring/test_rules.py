"""Rules are valid, name what exists, fire and keep quiet as promised, and each alert leads to a page that helps."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from monitoring import known_metrics, promql
from monitoring.known_metrics import OPERATOR, OTHERS, TARGET
from monitoring.rules import FILES, ROOT, RUNBOOKS, TESTS, alerts, promtool, recorded, rules
from openapi_document import of_this_code

URL = "https://github.com/keybearer/keybearer/blob/main/docs/runbooks/"
SECTIONS = ["## What it means", "## What people notice", "## Look", "## Do", "## Over when"]
NAMES = sorted({rule["alert"] for _, rule in alerts()})
SOURCES = [ROOT / "backend" / "api" / "keybearer", ROOT / "operator" / "keybearer_operator"]
# What rules themselves add.
OWN = frozenset({"slo"})


def short(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("file", FILES, ids=short)
def test_promtool_reads_them(file: Path) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("test", TESTS, ids=short)
def test_alerts_fire_and_keep_quiet(test: Path) -> None:
    done = promtool("test", "rules", test.name, cwd=test.parent)

    assert done.returncode == 0, done.stdout + done.stderr


def expectations() -> Iterator[tuple[Path, str, bool]]:
    """File of rules, alert, and whether it is expected to fire."""
    for path in TESTS:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        (file,) = ((path.parent / each).resolve() for each in content["rule_files"])
        for test in content["tests"]:
            for each in test["alert_rule_test"]:
                yield file, each["alertname"], bool(each["exp_alerts"])


def test_each_alert_is_seen_to_fire_and_to_keep_quiet() -> None:
    wanted = {(file, rule["alert"], fires) for file, rule in alerts() for fires in (True, False)}

    assert set(expectations()) == wanted


def test_each_window_of_a_burn_rate_is_seen_to_fire() -> None:
    wanted = {(rule["alert"], rule["labels"]["window"]) for _, rule in alerts() if "window" in rule["labels"]}
    text = "".join(path.read_text(encoding="utf-8") for path in TESTS)
    slos = {name: re.findall(rf"runbooks/{name}\.md", text) for name, _ in wanted}

    assert len(wanted) == 12
    assert all(len(found) >= 4 for found in slos.values())
    for window in ("1h", "6h", "1d", "3d"):
        assert f"window: {window}" in text


@pytest.mark.parametrize(("file", "rule"), alerts(), ids=lambda value: getattr(value, "stem", None) or value["alert"])
def test_alerts_say_what_is_wrong(file: Path, rule: dict) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"{URL}{rule['alert']}.md"
    assert not rule["annotations"]["summary"].endswith(".")
    # Of what is or is not, 0 and 1 tell nothing.
    is_switch = "absent(" in rule["expr"] or re.fullmatch(r"max by \([^)]*\) \([^)]*\) == 1", rule["expr"])
    assert "$value" in rule["annotations"]["description"] or is_switch


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert sorted(page.stem for page in RUNBOOKS.glob("*.md")) == NAMES


def test_the_page_lists_each_alert_with_its_severity() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"(?m)^\| \[(\w+)\]\(runbooks/\1\.md\) \| (\w+) \|", page))
    severities: dict[str, set[str]] = {}
    for _, rule in alerts():
        severities.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])

    assert listed == {name: "both" if len(found) == 2 else min(found) for name, found in severities.items()}


def test_what_the_page_says_is_recorded_is() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")

    assert set(re.findall(r"keybearer:[a-z_]+:[a-z0-9_]+", page)) <= recorded()


@pytest.mark.parametrize("name", NAMES)
def test_runbooks_are_short_and_of_one_shape(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")

    assert page.startswith(f"# {name}\n")
    assert re.findall(r"(?m)^## .*$", page) == SECTIONS
    assert len(page.splitlines()) <= 60
    for section in ("## Look", "## Do"):
        assert "```sh\n" in page.partition(section)[2].partition("\n## ")[0], section


def test_rules_name_metrics_and_labels_that_exist() -> None:
    known = known_metrics.backend() | OPERATOR | OTHERS
    problems = []
    for file in FILES:
        for rule in rules(file):
            found = promql.named(rule["expr"])
            problems += [f"{file.stem}: {name}" for name in found.metrics - known.keys() - recorded()]
            problems += [
                f"{file.stem}: {metric} has no label {label}"
                for metric, label, _ in found.matchers
                if metric in known and label not in known[metric] | TARGET
            ]
            of_all = frozenset().union(*(known.get(name, OWN) for name in found.metrics))
            more = OWN | {"provider"} if found.metrics & recorded() else OWN
            problems += [
                f"{file.stem}: nothing has the label {label}" for label in found.groupings - of_all - TARGET - more
            ]

    assert not problems


def test_the_operators_metrics_are_as_rules_take_them() -> None:
    """The table is what they are written against; what the code has already must agree with it."""
    found = known_metrics.operator()

    assert {name: found[name] for name in found.keys() & OPERATOR.keys()} == {
        name: OPERATOR[name] for name in found.keys() & OPERATOR.keys()
    }


def test_values_of_labels_are_ones_that_the_code_sets() -> None:
    """So that an outcome that is renamed does not silence an alert."""
    source = "".join(path.read_text(encoding="utf-8") for folder in SOURCES for path in folder.rglob("*.py"))
    wanted = {
        word
        for file in FILES
        for rule in rules(file)
        for metric, label, value in promql.named(rule["expr"]).matchers
        if metric.startswith("keybearer_") and label in {"outcome", "result"}
        for word in promql.alternatives(value)
    }

    assert {"provider_error", "server_error", "refused", "invalid_client", "miss", "failed"} <= wanted
    assert {word for word in wanted if f'"{word}"' not in source} == set()


def test_routes_of_the_promises_exist() -> None:
    """Each is asked for with a pattern, which must fit at least one template of the API."""
    routes = [route.replace("{", "(").replace("}", ")") for route in of_this_code()["paths"]]
    patterns = {
        value
        for file in FILES
        for rule in rules(file)
        for _, label, value in promql.named(rule["expr"]).matchers
        if label == "route"
    }

    assert len(patterns) == 2
    for pattern in patterns:
        assert any(re.fullmatch(pattern, route) for route in routes), pattern


@pytest.mark.parametrize(
    ("expression", "metrics", "labels", "groupings"),
    [
        ("up", {"up"}, set(), set()),
        ('sum by (a, b) (rate(x_total{c="d{e}", f=~"g"}[5m:1m] offset 1d))', {"x_total"}, {"c", "f"}, {"a", "b"}),
        ('p:q / on (a) group_left (b) r{s!="and t"} > 0.5 or 1e6 * v', {"p:q", "r", "v"}, {"s"}, {"a", "b"}),
        ("histogram_quantile(0.99, sum by (le) (rate(h_bucket[$__rate_interval])))", {"h_bucket"}, set(), {"le"}),
    ],
)
def test_names_are_found(expression: str, metrics: set, labels: set, groupings: set) -> None:
    found = promql.named(expression)

    assert found.metrics == metrics
    assert {label for _, label, _ in found.matchers} == labels
    assert found.groupings == groupings
