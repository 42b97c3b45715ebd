"""Rules and dashboards of a release: which there are, and that they speak of this release."""

import json
import re
from typing import Any

import pytest
import yaml
from cluster import render
from cluster.render import CHART, HOST, kind, label

pytestmark = pytest.mark.cluster

ON = {"monitoring": {"enabled": True}}
ALWAYS = {"slo", "service", "accounts", "maintenance"}
RUNBOOKS = "https://github.com/keybearer/keybearer/blob/main/docs/runbooks/"


def monitored(values: dict[str, Any] | None = None, **options: Any) -> list[render.Object]:
    found = render.objects(render.render(HOST | ON | (values or {}), **options))
    return [each for each in kind(found, "PrometheusRule", "ConfigMap") if label(each, "component") == "monitoring"]


def rules(found: list[render.Object]) -> list[dict[str, Any]]:
    (item,) = kind(found, "PrometheusRule")
    return [rule for group in item["spec"]["groups"] for rule in group["rules"]]


def of_files(*names: str) -> set[str]:
    """The alerts of some of files/prometheus."""
    found = set()
    for name in names:
        content = yaml.safe_load((CHART / "files" / "prometheus" / f"{name}.yaml").read_text(encoding="utf-8"))
        found |= {rule["alert"] for group in content["groups"] for rule in group["rules"] if "alert" in rule}
    return found


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ({}, ["database", "backup", "restore-drill", "operator"]),
        ({"operator": {"enabled": False}}, ["database", "backup", "restore-drill"]),
        ({"postgres": {"exporter": {"enabled": False}}}, ["backup", "restore-drill", "operator"]),
        ({"database": {"mode": "cnpg"}}, ["database-cnpg", "backup", "restore-drill", "operator"]),
        (
            {"database": {"mode": "external", "external": {"existingSecret": "db"}}},
            ["backup", "restore-drill", "operator"],
        ),
        ({"backup": {"drill": {"enabled": False}}}, ["database", "backup", "operator"]),
        ({"backup": {"enabled": False}}, ["database", "operator"]),
    ],
    ids=str,
)
def test_alerts_are_those_of_what_there_is(values: dict[str, Any], more: list[str]) -> None:
    found = {rule["alert"] for rule in rules(monitored(values)) if "alert" in rule}

    assert found == of_files(*ALWAYS, *more)


def test_rules_speak_of_this_release() -> None:
    found = rules(monitored({"backup": {"persistence": {"existingClaim": "mine"}}}, release="prod"))
    text = json.dumps(found).replace(RUNBOOKS, "")

    assert not re.search(r"(?<!prod-)keybearer-", text)
    assert {"kb"} == set(re.findall(r'namespace=\\"([^"\\]*)', text))
    assert all('namespace="kb"' in rule["expr"] for rule in found)
    assert "prod-keybearer-restore-drill" in text
    assert "|mine" in text


def test_the_files_and_their_render_differ_in_names_alone() -> None:
    """Whatever the file for a release called keybearer in its namespace says, the chart says."""
    (item,) = kind(
        render.objects(
            render.render(HOST | ON | {"fullnameOverride": "keybearer"}, release="keybearer").replace(
                'namespace="kb"', 'namespace="keybearer"'
            )
        ),
        "PrometheusRule",
    )
    names = ["slo", "service", "accounts", "maintenance", "database", "backup", "restore-drill", "operator"]
    files = [(CHART / "files" / "prometheus" / f"{name}.yaml").read_text(encoding="utf-8") for name in names]

    assert item["spec"]["groups"] == [group for text in files for group in yaml.safe_load(text)["groups"]]


def test_runbooks_may_be_elsewhere() -> None:
    found = rules(monitored({"monitoring": {"enabled": True, "runbookUrl": "https://wiki.example.com/kb/"}}))
    urls = [rule["annotations"]["runbook_url"] for rule in found if "alert" in rule]

    assert urls
    assert all(re.fullmatch(r"https://wiki\.example\.com/kb/Keybearer\w+\.md", url) for url in urls)


def test_dashboards_are_found_by_grafana() -> None:
    found = kind(monitored(), "ConfigMap")
    files = {path.name: path.read_text(encoding="utf-8") for path in (CHART / "files" / "dashboards").iterdir()}

    assert {key: text for each in found for key, text in each["data"].items()} == {
        f"keybearer-{name}": text.rstrip("\n") for name, text in files.items()
    }
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in found} == {"1"}
    assert len({each["metadata"]["name"] for each in found}) == len(files)


@pytest.mark.parametrize(
    ("monitoring", "kinds"),
    [
        ({"enabled": False}, set()),
        ({"enabled": True, "rules": False}, {"ConfigMap"}),
        ({"enabled": True, "dashboards": {"enabled": False}}, {"PrometheusRule"}),
    ],
    ids=str,
)
def test_each_can_be_left_out(monitoring: dict[str, Any], kinds: set[str]) -> None:
    assert {each["kind"] for each in monitored({"monitoring": monitoring})} == kinds


def test_labels_and_annotations_are_yours() -> None:
    dashboards = {"labels": {"team": "sre"}, "annotations": {"folder": "Keybearer"}}
    values = {"monitoring": {"enabled": True, "labels": {"release": "prometheus"}, "dashboards": dashboards}}
    found = monitored(values)

    assert kind(found, "PrometheusRule")[0]["metadata"]["labels"]["release"] == "prometheus"
    for each in kind(found, "ConfigMap"):
        assert each["metadata"]["labels"]["team"] == "sre"
        assert each["metadata"]["annotations"] == {"folder": "Keybearer"}


def test_an_address_that_is_none_is_refused() -> None:
    assert "runbookUrl" in render.refusal(HOST | {"monitoring": {"runbookUrl": "wiki/runbooks"}})
