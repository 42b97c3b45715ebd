"""The chart, installed: small, with the sandbox as its providers, and reached through forwarded ports."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.kube import CHART, TAG, Namespace, forwarded, values_file
from installation import Browser, free_port
from keybearer_sandbox.testing import RunningSandbox

NAME = "kb"
FULL = "kb-keybearer"
# Several releases share a node of two CPUs; what they ask for is looked at where the chart is rendered.
_ASKS = {
    "backend": {"resources": {"requests": {"cpu": "80m"}}},
    "postgres": {"resources": {"requests": {"cpu": "50m"}}},
    "frontendProxy": {"resources": {"requests": {"cpu": "20m"}}},
    "operator": {"resources": {"requests": {"cpu": "20m"}}},
    "livekit": {"resources": {"requests": {"cpu": "20m"}}, "service": {"type": "ClusterIP"}},
    "backup": {"resources": {"requests": {"cpu": "20m"}}},
}


@dataclass(frozen=True)
class Release:
    namespace: Namespace
    port: int
    sandbox_port: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def sandbox(self) -> RunningSandbox:
        return RunningSandbox(f"http://127.0.0.1:{self.sandbox_port}")

    @property
    def inside(self) -> str:
        """nginx, as pods of the cluster reach it."""
        return f"http://{FULL}-frontend-proxy.{self.namespace.name}"

    def values(self, **more: Any) -> str:
        return values_file(
            {
                "publicUrl": self.url,
                "crds": {"install": False},
                "image": {"tag": TAG},
                "limits": {"requests": "500/second", "signIns": "600/minute"},
                "sandbox": {"port": self.sandbox_port},
                "livekit": {"enabled": True, "url": "ws://localhost:7880", "useExternalIp": False},
                "backend": {"hpa": {"min": 2, "max": 3}, "preStopSeconds": 5},
                "frontendProxy": {"preStopSeconds": 5},
                "backup": {"enabled": True, "persistence": {"size": "1Gi"}},
                **more,
            }
        )

    def helm(self, verb: str, *arguments: str, check: bool = True, **more: Any) -> str:
        """`install` or `upgrade` with this release's values."""
        ours = (values_file(_ASKS), self.values(**more))
        files = [f"{CHART}/values-small.yaml", f"{CHART}/values-development.yaml", *ours]
        given = [argument for file in files for argument in ("--values", file)]
        return self.namespace.helm(verb, NAME, str(CHART), *given, *arguments, check=check)

    def wait(self) -> None:
        for what in (f"statefulset/{FULL}-postgres", f"deployment/{FULL}-backend", f"deployment/{FULL}-frontend-proxy"):
            self.namespace.rolled_out(what)

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Those that are not being deleted."""
        found = self.namespace.items(
            "pods", f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component={component}"
        )
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def kill(self, component: str) -> None:
        """All its pods, with SIGKILL."""
        for pod in self.pods(component):
            name = pod["metadata"]["name"]
            self.namespace.kubectl("delete", "pod", name, "--grace-period=0", "--force", check=False)

    def sql(self, statement: str) -> str:
        """As the superuser inside the database's pod."""
        command = ("psql", "-U", "postgres", "-d", "keybearer", "-Atc", statement)
        return self.namespace.kubectl("exec", f"{FULL}-postgres-0", "-c", "postgres", "--", *command).strip()

    def sign_in(self, browser: Browser, account: str = "alice@example.com") -> None:
        location = browser.get("/api/auth/google/start").headers["location"]
        back = browser.get(self._through(location, account))
        assert back.status_code == 303, back.text

    def connect(self, browser: Browser, account: str = "alice@example.com") -> None:
        started = browser.post("/api/connections/spotify/start", json={})
        assert started.status_code == 200, started.text
        browser.get(self._through(started.json()["authorize_url"], account))

    def grant(self, browser: Browser) -> str:
        made = browser.post("/api/grants", json={"agent": "demo", "providers": ["spotify"]})
        assert made.status_code == 201, made.text
        grant: str = made.json()["grant"]
        return grant

    def _through(self, authorize_url: str, account: str) -> str:
        return self.sandbox.authorize(authorize_url, account).removeprefix(self.url)


# Browsers consent there, and here one is inside.
_OPEN_SANDBOX: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "load-to-sandbox"},
    "spec": {
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "sandbox"}},
        "ingress": [
            {
                "from": [
                    {
                        "podSelector": {
                            "matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "DoesNotExist"}]
                        }
                    }
                ]
            }
        ],
    },
}


def load(
    release: Release,
    name: str,
    browser: Browser,
    grant: str,
    *,
    seconds: float,
    rate: float = 20,
    sign_ins: bool = False,
    only: str | None = None,
) -> "Load":
    """Of whoever is signed in, for so many seconds or until `end()`. `only`: this call alone."""
    script = (CHART.parents[1] / "tests" / "cluster" / "load.py").read_text()
    cookie = browser.client.cookies["keybearer_session"]
    arguments = (release.inside, release.host, cookie, grant, str(seconds), str(rate))
    if sign_ins or only:
        release.namespace.apply(_OPEN_SANDBOX)
        arguments += (f"http://{FULL}-sandbox.{release.namespace.name}:{release.sandbox_port}",)
    program = release.namespace.program(name, script, *arguments, *([only] if only else []))
    program.started()
    return Load(
        seen=lambda: json.loads(program.finished().splitlines()[-1]),
        end=lambda: release.namespace.kubectl("exec", name, "--", "touch", "/tmp/end"),
    )


@dataclass(frozen=True)
class Load:
    """Calls from inside the cluster; `seen()` waits for their end, and `end()` does not let them go on."""

    seen: Any
    end: Any


@contextmanager
def installed(namespace: Namespace, **more: Any) -> Iterator[Release]:
    port, sandbox_port = free_port(), free_port()
    release = Release(namespace, port, sandbox_port)
    release.helm("install", **more)
    release.wait()
    with reached(release):
        yield release


@contextmanager
def reached(release: Release) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(forwarded(release.namespace, f"{FULL}-frontend-proxy", release.port, 80))
        stack.enter_context(forwarded(release.namespace, f"{FULL}-sandbox", release.sandbox_port, release.sandbox_port))
        yield
