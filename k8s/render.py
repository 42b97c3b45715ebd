"""Writes k8s/base and k8s/overlays/development from the chart, in files that a person finds by name.

`--check` says whether they are up to date. Left out is what Helm alone needs: its labels, its annotations and its test.
"""

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
CHART = FOLDER.parent / "charts" / "keybearer"
HEADER = "# Made from charts/keybearer by `make k8s`. Change the chart, or patch this in an overlay.\n"


@dataclass(frozen=True)
class Rendering:
    folder: str
    namespace: str
    arguments: tuple[str, ...]


RENDERINGS = (
    Rendering(
        "base",
        "keybearer",
        (
            "--set=hosts={keybearer.example.com}",
            "--set=ingress.tls.issuer=letsencrypt",
            "--set=providers.existingSecret=keybearer-providers",
        ),
    ),
    Rendering(
        "overlays/development",
        "keybearer-development",
        (f"--values={CHART}/values-small.yaml", f"--values={CHART}/values-development.yaml"),
    ),
)

# Kind and component of an object, and the file that it is in. The first that fits.
_FILES = (
    (r"HorizontalPodAutoscaler/.*", "hpa"),
    (r"Ingress/.*", "ingress"),
    (r"NetworkPolicy/.*", "network-policies"),
    (r"PersistentVolumeClaim/.*", "pvc"),
    (r"PodDisruptionBudget/.*", "pdb"),
    (r".*/(sandbox|secrets|valkey)", r"\1"),
    (r"ConfigMap/backend", "configmap"),
    (r"ServiceAccount/", "service-account"),
    (r"CronJob/(backup|restore-drill)", "backup-cronjobs"),
    (r"CustomResourceDefinition/.*", "crds"),
    (r".*/(operator|offsite)", r"\1"),
    (r"(.*)/frontend-proxy", r"frontend-\1"),
    (r"(.*)/(.+)", r"\2-\1"),
)
_HELM_LABELS = re.compile(r"(?m)^ *(?:app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n")
_HELM_ANNOTATIONS = re.compile(r"(?m)^  annotations:\n    helm\.sh/resource-policy: keep\n(?!    )")
# The pod of `helm test`, and what only it may reach.
_HELM_TEST = re.compile(r"^keybearer-test$|-test-to-|-from-test$")
_HOSTS = "{0},{0}.$(NAMESPACE),{0}.$(NAMESPACE).svc,{0}.$(NAMESPACE).svc.cluster.local".format("keybearer-backend")
_PROVIDERS = "secret: {name: keybearer-providers}"

_NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: {namespace}
  labels:
    app.kubernetes.io/part-of: keybearer
    # No pod of Keybearer needs more than this allows.
    pod-security.kubernetes.io/enforce: restricted
"""

_KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
{resources}
patches:
  # The backend answers to its Service's names in whichever namespace an overlay puts it.
  - target: {{kind: ConfigMap, name: keybearer-settings}}
    patch: |-
      - {{op: remove, path: /data/KEYBEARER_INTERNAL_HOSTS}}
  - target: {{kind: Deployment, name: keybearer-backend}}
    patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: {{name: keybearer-backend}}
      spec:
        template:
          spec:
            containers:
              - name: backend
                env:
                  - name: NAMESPACE
                    valueFrom: {{fieldRef: {{fieldPath: metadata.namespace}}}}
                  - name: KEYBEARER_INTERNAL_HOSTS
                    value: {hosts}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wrong: list[str] = []
    for rendering in RENDERINGS:
        folder = FOLDER / rendering.folder
        folder.mkdir(parents=True, exist_ok=True)
        before = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
        after = files(helm_template(rendering), rendering.namespace)
        wrong += [str(folder / name) for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
        if not check:
            for name in before.keys() - after.keys():
                (folder / name).unlink()
            for name, text in after.items():
                (folder / name).write_text(text, encoding="utf-8")
    if check and wrong:
        print("\n".join(sorted(wrong)), "are not what the chart renders: make k8s", sep="\n", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def helm_template(rendering: Rendering) -> str:
    helm = shutil.which("helm")
    if helm is None:
        raise SystemExit("helm is needed on PATH.")
    command = [helm, "template", "keybearer", str(CHART), f"--namespace={rendering.namespace}", *rendering.arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def files(rendered: str, namespace: str) -> dict[str, str]:
    """The text of each file, in the order of names."""
    documents: dict[str, list[str]] = {"namespace.yaml": [_NAMESPACE.format(namespace=namespace)]}
    for text in re.split(r"(?m)^---$", rendered):
        item = yaml.safe_load(text)
        if item and not _HELM_TEST.search(item["metadata"]["name"]):
            documents.setdefault(file_of(item), []).append(plain(text, item))
    documents = dict(sorted(documents.items()))
    resources = "\n".join(f"  - {name}" for name in documents)
    documents["kustomization.yaml"] = [_KUSTOMIZATION.format(resources=resources, hosts=_HOSTS)]
    return {name: HEADER + "---\n".join(texts) for name, texts in documents.items()}


def file_of(item: dict[str, Any]) -> str:
    what = f"{item['kind']}/{item['metadata']['labels'].get('app.kubernetes.io/component', '')}"
    pattern, name = next((pattern, name) for pattern, name in _FILES if re.fullmatch(pattern, what))
    return re.sub(pattern, name, what).lower() + ".yaml"


def plain(text: str, item: dict[str, Any]) -> str:
    """One object as Helm printed it, comments too, without what is Helm's."""
    lines = [line.rstrip() for line in text.splitlines() if not line.startswith("# Source: ")]
    if item["kind"] != "ConfigMap":  # whose texts may have empty lines
        lines = [line for line in lines if line]
    text = "\n".join(lines).strip("\n") + "\n"
    text = _HELM_ANNOTATIONS.sub("", _HELM_LABELS.sub("", text))
    # Helm knows whether there is such a Secret. Here it may come later.
    return text.replace(_PROVIDERS, _PROVIDERS.replace("}", ", optional: true}"))


if __name__ == "__main__":
    sys.exit(main())
