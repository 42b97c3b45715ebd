"""k8s/ is what the chart renders, its overlays build, and one file of it is all there is to edit."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cluster import render
from cluster.kube import run
from cluster.render import CHART, ROOT, Object, kind, label, named, objects

pytestmark = pytest.mark.cluster

K8S = ROOT / "k8s"
README = (K8S / "README.md").read_text(encoding="utf-8")
BASE_VALUES = (
    "--set=hosts={keybearer.example.com}",
    "--set=ingress.tls.issuer=letsencrypt",
    "--set=providers.existingSecret=keybearer-providers",
)
DEVELOPMENT_VALUES = (f"--values={CHART}/values-small.yaml", f"--values={CHART}/values-development.yaml")
RENDERED = [("base", "keybearer", BASE_VALUES), ("overlays/development", "keybearer-development", DEVELOPMENT_VALUES)]
FORMS = [f"keybearer-backend{rest}" for rest in ("", ".$(NAMESPACE)", ".$(NAMESPACE).svc")]


def built(folder: Path) -> list[Object]:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH")
    return objects(run("kubectl", "kustomize", str(folder)))


def charted(namespace: str, values: tuple[str, ...]) -> list[Object]:
    """What the chart renders, as k8s/ should have it."""
    done = render.helm("template", "keybearer", str(CHART), f"--namespace={namespace}", *values)
    assert done.returncode == 0, done.stderr
    found = [each for each in objects(done.stdout) if not re.search(r"-test(-|$)", each["metadata"]["name"])]
    for each in found:
        metadata = each["metadata"]
        del metadata["labels"]["app.kubernetes.io/managed-by"], metadata["labels"]["helm.sh/chart"]
        if metadata.get("annotations", {}).pop("helm.sh/resource-policy", None) and not metadata["annotations"]:
            del metadata["annotations"]
    text = json.dumps(found).replace(
        '{"name": "keybearer-providers"', '{"name": "keybearer-providers", "optional": true'
    )
    return [dict(each) for each in json.loads(text)]


def in_order(found: list[Object]) -> list[Object]:
    return sorted(found, key=lambda each: (each["kind"], each["metadata"]["name"]))


def edited(folder: Path, more: str = "", **replaced: str) -> Path:
    """A copy of k8s/ whose one file to edit was edited."""
    shutil.copytree(K8S, folder / "k8s")
    production = folder / "k8s" / "overlays" / "production"
    text = (production / "kustomization.yaml").read_text(encoding="utf-8")
    for before, after in replaced.items():
        assert f"{before}" in text
        text = text.replace(before, after)
    (production / "kustomization.yaml").write_text(text + more, encoding="utf-8")
    return production


def test_what_is_rendered_is_up_to_date() -> None:
    if shutil.which("helm") is None:
        pytest.skip("no helm on PATH")
    command = [sys.executable, str(K8S / "render.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("folder", "namespace", "values"), RENDERED, ids=lambda value: str(value)[:12])
def test_the_objects_are_the_charts(folder: str, namespace: str, values: tuple[str, ...]) -> None:
    files = sorted((K8S / folder).glob("*.yaml"))
    found = [each for file in files if file.name != "kustomization.yaml" for each in objects(file.read_text("utf-8"))]
    made = [each for each in found if each["kind"] != "Namespace"]

    assert in_order(made) == in_order(charted(namespace, values))
    assert [each["metadata"]["name"] for each in kind(found, "Namespace")] == [namespace]
    assert "elm" not in json.dumps([each["metadata"] for each in found])
    resources = yaml.safe_load((K8S / folder / "kustomization.yaml").read_text("utf-8"))["resources"]
    assert resources == [file.name for file in files if file.name != "kustomization.yaml"]


def test_a_person_finds_each_file_by_name() -> None:
    wanted = "namespace configmap secrets pvc postgres-statefulset postgres-service backend-deployment backend-service "
    wanted += "frontend-deployment frontend-service ingress hpa pdb network-policies migrate-job backup-cronjobs valkey"

    assert {f"{name}.yaml" for name in wanted.split()} <= {file.name for file in (K8S / "base").iterdir()}


def test_production_has_room_and_development_one_of_everything() -> None:
    production, development = (built(K8S / "overlays" / name) for name in ("production", "development"))

    def scale(found: list[Object]) -> dict[str, tuple[int, int]]:
        scalers = kind(found, "HorizontalPodAutoscaler")
        return {
            label(each, "component") or "": (each["spec"]["minReplicas"], each["spec"]["maxReplicas"])
            for each in scalers
        }

    assert scale(production) == {"backend": (3, 20), "frontend-proxy": (2, 10)}
    assert {least for least, _ in scale(development).values()} == {1}
    assert "sandbox" not in json.dumps(production)
    assert named(development, "Service", "keybearer-sandbox")
    assert not kind(development, "Ingress", "PersistentVolumeClaim")
    for found in (production, development):
        assert not kind(found, "Secret")


def test_one_file_is_all_there_is_to_edit(tmp_path: Path) -> None:
    changed = {
        "host=keybearer.example.com": "host=kb.test",
        "issuer=letsencrypt": "issuer=mine",
        "newName: keybearer/": "newName: registry.test/keybearer/",
        "namespace: keybearer\n": "namespace: other\n",
    }
    found = built(edited(tmp_path, **changed))
    text = json.dumps(found)

    assert "example.com" not in text
    assert "letsencrypt" not in text
    assert not re.search(r'"keybearer/|keybearer-backend\.keybearer', text)
    assert {each["metadata"].get("namespace", "other") for each in found} == {"other"}
    assert [each["metadata"]["name"] for each in kind(found, "Namespace")] == ["other"]
    ingress = kind(found, "Ingress")[0]
    assert ingress["spec"]["rules"][0]["host"] == ingress["spec"]["tls"][0]["hosts"][0] == "kb.test"
    settings = named(found, "ConfigMap", "keybearer-settings")["data"]
    assert settings["KEYBEARER_PUBLIC_URL"] == "https://kb.test"
    assert not [each for each in kind(found, "ConfigMap") if each["metadata"]["name"] == "installation"]
    backend = named(found, "Deployment", "keybearer-backend")["spec"]["template"]
    assert backend["metadata"]["annotations"]["keybearer.dev/host"] == "kb.test"
    environment = {each["name"]: each.get("value", "") for each in backend["spec"]["containers"][0]["env"]}
    assert environment["KEYBEARER_INTERNAL_HOSTS"].split(",")[:3] == FORMS
    assert list(environment).index("NAMESPACE") < list(environment).index("KEYBEARER_INTERNAL_HOSTS")


def test_what_the_page_suggests_can_be_added(tmp_path: Path) -> None:
    fragments = re.findall(r"(?ms)^```yaml\n(.*?)^```", README)
    texts = [json.dumps(built(edited(tmp_path / str(n), more))) for n, more in enumerate(fragments)]

    for text, words in zip(
        texts, (["acme.example.com"], ["100Gi", '"maxReplicas": 10'], ['LEVEL": "debug']), strict=True
    ):
        assert all(word in text for word in words), words
