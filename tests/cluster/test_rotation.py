"""The operator replaces every key under load: nobody is refused, and nothing is left under the old one."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cluster.release import FULL, Release, load
from cluster.test_updates import server_errors
from installation import Browser

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def rotation(release: Release, name: str) -> dict[str, Any]:
    found: dict[str, Any] = release.namespace.get("secretrotation", f"{FULL}-{name}")
    return found


def is_at_rest(release: Release, name: str) -> bool:
    """Not before the operator has made it, which is a little after the chart is installed."""
    found = {each["metadata"]["name"]: each for each in release.namespace.items("secretrotations")}
    conditions = found.get(f"{FULL}-{name}", {}).get("status", {}).get("conditions", ())
    said = {each["type"]: each["status"] for each in conditions}
    return said.get("Ready") == "True" and said.get("Rotating") == "False"


def rotate(release: Release, name: str, *, meanwhile: Callable[[], object] = lambda: None) -> tuple[str, str]:
    """The active key before and after."""
    namespace = release.namespace
    namespace.until(lambda: is_at_rest(release, name))
    before = rotation(release, name)["status"]["activeKeyID"]
    mark = f"keybearer.dev/rotate-now={time.time_ns()}"
    namespace.kubectl("annotate", "--overwrite", "secretrotation", f"{FULL}-{name}", mark)
    namespace.until(lambda: rotation(release, name)["status"]["step"] != "Idle", seconds=30)
    meanwhile()
    namespace.until(lambda: is_at_rest(release, name))
    return before, rotation(release, name)["status"]["activeKeyID"]


def kill_the_operator(release: Release) -> None:
    pod = release.pods("operator")[0]["metadata"]["name"]
    release.namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force")


def test_it_rotates_what_the_chart_brought(release: Release) -> None:
    release.namespace.rolled_out(f"deployment/{FULL}-operator")
    release.namespace.until(lambda: len(release.namespace.items("secretrotations")) == 4)
    for name in ("encryption-key", "signing-key", "database-login", "valkey-password"):
        release.namespace.until(lambda name=name: is_at_rest(release, name))


def test_the_encryption_key_twice_and_the_login_under_load(release: Release, browser: Browser) -> None:
    calls = load(release, "load-rotation", browser, release.grant(browser), seconds=110)
    first, second = rotate(release, "encryption-key", meanwhile=lambda: kill_the_operator(release))
    again, third = rotate(release, "encryption-key")
    assert (again, len({first, second, third})) == (second, 3)
    login_before, login_after = rotate(release, "database-login")
    assert {login_before, login_after} == {"keybearer_app_a", "keybearer_app_b"}

    seen = calls.seen()
    print(seen["answers"], seen["errors"], seen["longest_gap"])
    assert not seen["errors"]
    assert not server_errors(seen), seen["problems"]
    assert release.sql("SELECT DISTINCT kek_id FROM keybearer.data_keys") == third
    assert release.sql("SELECT id FROM keybearer.keks") == third
    assert release.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{login_before}'") == "0"
    assert browser.get("/api/auth/me").status_code == 200


def test_what_happened_is_told_by_describe(release: Release) -> None:
    rotate(release, "encryption-key")

    told = release.namespace.kubectl("describe", "secretrotation", f"{FULL}-encryption-key")
    assert "is in use." in told, told
    assert "KeyPromoted" in told, told
    data = release.namespace.get("secret", f"{FULL}-keyring")["data"]
    assert not [value for value in data.values() if value in told]
    assert json.dumps(data) not in told
