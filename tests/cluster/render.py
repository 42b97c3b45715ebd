"""Renders the chart and walks through what comes out."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "keybearer"
HOST: dict[str, Any] = {"hosts": ["kb.example.com"]}
PORTS: dict[str, Any] = {"publicUrl": "http://localhost:8080"}
SECRETS = ("keyring", "signing", "database", "databaseMigrator", "postgres", "postgresTls", "valkey", "livekit")
LIVEKIT: dict[str, Any] = {"livekit": {"enabled": True, "url": "wss://live.example.com"}}

# What the chart is rendered with: files of its own, then values.
SETS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "default": ((), HOST),
    "small": (("small",), HOST),
    "medium": (("medium",), HOST),
    "large": (("large",), HOST),
    "development": (("small", "development"), {}),
    "external": ((), HOST | {"database": {"mode": "external", "external": {"existingSecret": "db", "caSecret": "ca"}}}),
    "cnpg": ((), HOST | {"database": {"mode": "cnpg"}, "monitoring": {"enabled": True}}),
    "gateway": (
        (),
        HOST | {"ingress": {"enabled": False}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
    ),
    "everything": (
        (),
        HOST
        | LIVEKIT
        | {
            "erasureLog": {"enabled": True, "storageClassName": "shared"},
            "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
            "ingress": {"className": "nginx", "tls": {"issuer": "letsencrypt"}},
            "providers": {"existingSecret": "providers"},
            "mail": {"from": "keybearer@example.com", "existingSecret": "mail"},
            "corsOrigins": ["https://app.example.com"],
            "backend": {"env": {"KEYBEARER_LOG_SQL": True}, "envFrom": [{"secretRef": {"name": "more"}}]},
            "networkPolicy": {
                "ipFamilies": ["IPv4", "IPv6"],
                "backendFrom": [{"podSelector": {"matchLabels": {"app": "agent"}}}],
                "backendTo": [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}], "ports": [{"port": 587}]}],
            },
            "scheduling": {"nodeSelector": {"pool": "a"}, "priorityClassName": "system-cluster-critical"},
            "image": {"registry": "registry.example.com/kb", "pullSecrets": ["pull"]},
        },
    ),
    "existing": (
        (),
        HOST | LIVEKIT | {"secrets": {name: {"existingSecret": f"own-{name.lower()}"} for name in SECRETS}},
    ),
    "external-secrets": (
        (),
        HOST
        | {
            "secrets": {
                "keyring": {
                    "externalSecret": {
                        "secretStoreRef": {"name": "vault", "kind": "ClusterSecretStore"},
                        "dataFrom": [{"extract": {"key": "keybearer/keyring"}}],
                    }
                }
            }
        },
    ),
    "bare": (
        (),
        PORTS
        | {
            "backend": {"hpa": {"enabled": False}, "replicas": 1},
            "frontendProxy": {"hpa": {"enabled": False}, "replicas": 1, "service": {"type": "NodePort"}},
            "postgres": {"exporter": {"enabled": False}},
            "valkey": {"enabled": False},
            "backup": {"enabled": False},
            "networkPolicy": {"enabled": False},
        },
    ),
}

Object = dict[str, Any]
# The one written in C is ten times as quick, where it is there.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def rendered(name: str) -> list[Object]:
    """The objects of one of SETS, which nobody may change."""
    files, values = SETS[name]
    return objects(render(values, files))


def objects(text: str) -> list[Object]:
    return [each for each in yaml.load_all(text, Loader=_Loader) if each]


def render(values: dict[str, Any], files: tuple[str, ...] = (), *, release: str = "kb") -> str:
    done = helm("template", release, *arguments(values, files))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(values: dict[str, Any]) -> str:
    done = helm("template", "kb", *arguments(values))
    assert done.returncode != 0, "nothing was refused"
    return done.stderr


def arguments(values: dict[str, Any], files: tuple[str, ...] = ()) -> list[str]:
    given = [word for file in files for word in ("-f", str(CHART / f"values-{file}.yaml"))]
    given += [word for key, value in values.items() for word in ("--set-json", f"{key}={json.dumps(value)}")]
    return [str(CHART), "--namespace", "kb", *given]


def helm(*words: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("helm")
    if program is None:
        pytest.skip("no helm on PATH")
    # No configuration of whoever runs the tests.
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60, env=environment)


def kind(found: list[Object], *kinds: str) -> list[Object]:
    return [each for each in found if each["kind"] in kinds]


def named(found: list[Object], kind_: str, name: str) -> Object:
    return next(each for each in kind(found, kind_) if each["metadata"]["name"] == name)


def label(item: Object, name: str) -> str | None:
    found: str | None = item["metadata"]["labels"].get(f"app.kubernetes.io/{name}")
    return found


def pods(found: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod or pod template, with the name of what it is made by."""
    for each in found:
        name = f"{each['kind']}/{each['metadata']['name']}"
        match each["kind"]:
            case "Pod":
                yield name, each
            case "Deployment" | "StatefulSet" | "Job":
                yield name, each["spec"]["template"]
            case "CronJob":
                yield name, each["spec"]["jobTemplate"]["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
