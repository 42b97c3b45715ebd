"""Upgrade, rollback and deaths under a steady load."""

from typing import Any

import pytest
from cluster.release import FULL, NAME, Release, load
from installation import Browser

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def server_errors(seen: dict[str, Any]) -> dict[str, int]:
    return {answer: count for answer, count in seen["answers"].items() if answer.rpartition(" ")[2] >= "500"}


def acknowledged_and_lost(browser: Browser, seen: dict[str, Any]) -> set[str]:
    items: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = browser.get("/api/grants", params={"limit": 100, **({"after": after} if after else {})}).json()
        items += page["items"]
        after = page["next"]
    return set(seen["grants"]) - {item["id"] for item in items}


def test_upgrade_and_rollback_lose_nothing(release: Release, browser: Browser) -> None:
    calls = load(release, "load-upgrade", browser, release.grant(browser), seconds=100)
    release.helm(
        "upgrade", backend={"hpa": {"min": 2, "max": 3}, "preStopSeconds": 5, "podAnnotations": {"round": "2"}}
    )
    release.wait()
    release.namespace.helm("rollback", NAME)
    release.wait()
    seen = calls.seen()
    print(seen["answers"], seen["errors"], seen["longest_gap"])
    assert not server_errors(seen), seen["problems"]
    assert not seen["errors"]
    assert not seen["problems"]
    assert not acknowledged_and_lost(browser, seen)
    assert browser.get("/api/auth/me").status_code == 200


def test_backends_killed_are_replaced(release: Release, browser: Browser) -> None:
    calls = load(release, "load-backend", browser, release.grant(browser), seconds=40)
    victim = release.pods("backend")[0]["metadata"]["name"]
    release.namespace.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
    release.namespace.rolled_out(f"deployment/{FULL}-backend")
    seen = calls.seen()
    print(seen["answers"], seen["errors"], seen["longest_gap"])
    assert not acknowledged_and_lost(browser, seen)
    assert not seen["errors"]
    # What was under way in the pod that was killed, and what was sent to it before its address was taken out.
    assert sum(server_errors(seen).values()) <= 60, seen["problems"]
    assert browser.get("/api/auth/me").status_code == 200


def test_the_database_killed_comes_back_with_everything(release: Release, browser: Browser) -> None:
    calls = load(release, "load-database", browser, release.grant(browser), seconds=50)
    release.namespace.kubectl("delete", "pod", f"{FULL}-postgres-0", "--grace-period=0", "--force")
    release.namespace.rolled_out(f"statefulset/{FULL}-postgres")
    seen = calls.seen()
    print(seen["answers"], seen["errors"], seen["longest_gap"])
    assert not seen["errors"]
    # Away is said as away, and nothing is a crash of ours.
    assert not [answer for answer in seen["answers"] if answer.endswith((" 500", " 502", " 504"))], seen["problems"]
    assert not acknowledged_and_lost(browser, seen)
    assert browser.get("/api/auth/me").status_code == 200
    assert "The ledger is whole" in release.namespace.kubectl(
        "exec", f"deploy/{FULL}-backend", "-c", "backend", "--", "keybearer", "ledger", "verify"
    )
