"""skaffold.yaml names images, values and ports that are there; its program is not needed for that."""

import json
import re

import pytest
import yaml
from cluster import render
from cluster.render import ROOT, Object, kind, named, objects

pytestmark = pytest.mark.cluster

SKAFFOLD = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
RELEASE = SKAFFOLD["deploy"]["helm"]["releases"][0]


def installed_by_skaffold(tag: str, digest: str) -> list[Object]:
    """What its templates make of the chart, once images are built."""
    variables: dict[str, str] = {}
    for artifact in SKAFFOLD["build"]["artifacts"]:
        name = re.sub("[/.:-]", "_", artifact["image"])
        variables |= {f"IMAGE_REPO_{name}": f"registry.test/{name}"}
        variables |= {f"IMAGE_TAG_{name}": tag, f"IMAGE_DIGEST_{name}": digest}
    values = [f"--values={ROOT / file}" for file in RELEASE["valuesFiles"]]
    for key, template in RELEASE["setValueTemplates"].items():
        values += ["--set", f"{key}=" + re.sub(r"{{\.(\w+)}}", lambda found: variables[found[1]], template)]
    chart = str(ROOT / RELEASE["chartPath"])
    done = render.helm("template", RELEASE["name"], chart, f"--namespace={RELEASE['namespace']}", *values)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def test_skaffold_builds_what_the_chart_runs() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)^FROM \S+ AS (\S+)$", dockerfile))
    for artifact in SKAFFOLD["build"]["artifacts"]:
        assert artifact["docker"] == {
            "dockerfile": "Dockerfile",
            "target": artifact["image"].removeprefix("keybearer/"),
        }
        assert artifact["docker"]["target"] in targets

    local, pushed = installed_by_skaffold("abc", ""), installed_by_skaffold("abc", f"sha256:{'1' * 64}")
    for found, end in ((local, ":abc"), (pushed, f"@sha256:{'1' * 64}")):
        ours = {image for image in re.findall(r'"image": "([^"]+)"', json.dumps(found)) if "keybearer" in image}
        built = ("backend", "frontend_proxy", "operator", "sandbox")
        assert ours == {f"registry.test/keybearer_{name}{end}" for name in built}
    # A Job cannot be changed, so other images must make other Jobs.
    assert not {each["metadata"]["name"] for each in kind(local, "Job")} & {
        each["metadata"]["name"] for each in kind(pushed, "Job")
    }


def test_skaffold_forwards_the_ports_that_the_chart_expects() -> None:
    found = installed_by_skaffold("abc", "")
    url = named(found, "ConfigMap", "keybearer-settings")["data"]["KEYBEARER_PUBLIC_URL"]
    for forward in SKAFFOLD["portForward"]:
        service = named(found, "Service", forward["resourceName"])
        assert service["metadata"]["namespace"] == forward["namespace"] == RELEASE["namespace"]
        assert forward["port"] in {port["port"] for port in service["spec"]["ports"]}
    local = {forward["resourceName"]: forward["localPort"] for forward in SKAFFOLD["portForward"]}
    assert url == f"http://localhost:{local['keybearer-frontend-proxy']}"
    assert local["keybearer-sandbox"] == 8082
