"""From nothing to ready, what stays after the end, and what is said when something is wrong."""

import time

import pytest
from cluster.kube import namespaced
from cluster.release import FULL, NAME, Release, installed, reached
from installation import Browser

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_installed_ended_and_installed_again(cluster) -> None:
    began = time.monotonic()
    with namespaced("keybearer-life") as namespace:
        with installed(namespace) as release:
            print(f"ready after {time.monotonic() - began:.0f} s")
            browser = Browser(release.url)
            release.sign_in(browser)
            release.connect(browser)
            browser.close()
        namespace.helm("uninstall", NAME)
        namespace.until(lambda: not namespace.items("pods"))
        namespace.until(lambda: not namespace.items("secretrotations"))
        kinds = "all,configmaps,secrets,pvc,networkpolicies,serviceaccounts,roles,rolebindings,poddisruptionbudgets"
        left = {
            f"{item['kind']}/{item['metadata']['name']}"
            for item in namespace.everything(kinds)
            if item["metadata"]["name"] not in {"default", "kube-root-ca.crt"}
        }
        logins = ("database", "database-migrator", "postgres", "postgres-tls", "valkey", "livekit")
        secrets = ("keyring", "signing", *logins)
        claims = (f"data-{FULL}-postgres-0", f"{FULL}-backup")
        assert left == {f"Secret/{FULL}-{name}" for name in secrets} | {
            f"PersistentVolumeClaim/{name}" for name in claims
        }

        release.helm("install")
        release.wait()
        with reached(release):
            again = Browser(release.url)
            release.sign_in(again)
            assert [item["provider"] for item in again.get("/api/connections").json()["items"]] == ["spotify"]
            again.close()


def waiting_reasons(release: Release, component: str) -> str:
    return release.namespace.kubectl("describe", "pods", "-l", f"app.kubernetes.io/component={component}")


def test_what_is_wrong_is_said_and_heals(cluster) -> None:
    """An image that is not there, a Secret that is not there, a wrong password."""
    with namespaced("keybearer-wrong") as namespace:
        release = Release(namespace, 18080, 18082)
        wrong = {"backend": {"image": {"tag": "absent"}, "hpa": {"min": 1, "max": 2}}}
        release.helm("install", **wrong, secrets={"keyring": {"existingSecret": "mine"}})
        namespace.until(lambda: "ErrImage" in waiting_reasons(release, "secrets"))
        release.helm("upgrade", secrets={"keyring": {"existingSecret": "mine"}}, backend={"hpa": {"min": 1, "max": 2}})
        namespace.until(lambda: 'secret "mine" not found' in waiting_reasons(release, "backend"))
        release.helm("upgrade", backend={"hpa": {"min": 1, "max": 2}})
        release.wait()

        good = namespace.get("secret", f"{FULL}-database")["data"]["password"]
        patch = '{"data": {"password": "%s"}}'
        namespace.kubectl("patch", "secret", f"{FULL}-database", "-p", patch % "d3Jvbmctd3Jvbmctd3Jvbmc=")
        namespace.kubectl("rollout", "restart", f"deployment/{FULL}-backend")
        newest = lambda: namespace.kubectl(  # noqa: E731
            "logs", "-l", "app.kubernetes.io/component=backend", "-c", "wait-for-schema", "--tail=50", check=False
        )
        namespace.until(lambda: "does not let us in" in newest())
        namespace.kubectl("patch", "secret", f"{FULL}-database", "-p", patch % good)
        release.wait()
