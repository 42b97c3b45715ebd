"""The operator replaces every key under load: nobody is refused, and nothing is left under the old one."""

import base64
import json
import threading
from collections.abc import Iterator

import pytest
from cluster.release import FULL, Load, Release, load
from cluster.rotating import is_at_rest, rotate, rotation
from cluster.test_updates import server_errors
from installation import Browser

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def scale(release: Release, pods: int) -> None:
    """By an upgrade, because a patch would be another hand on fields that a later upgrade sets."""
    release.helm("upgrade", backend={"hpa": {"min": pods, "max": pods}, "preStopSeconds": 5})
    release.namespace.until(lambda: len(release.pods("backend")) == pods)


class KilledAtEveryStep:
    """Ends the operator with SIGKILL whenever a rotation has come to another step. `seen` is which ones they were."""

    def __init__(self, release: Release, name: str) -> None:
        self._release = release
        self._name = name
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self.seen: list[str] = []

    def __enter__(self) -> "KilledAtEveryStep":
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watching.join(timeout=30)

    def _watch(self) -> None:
        while not self._over.wait(0.3):
            step = rotation(self._release, self._name)["status"]["step"]
            if not self.seen or step != self.seen[-1]:
                self.seen.append(step)
                self._release.kill("operator")


@pytest.fixture
def loaded(release: Release, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Load]:
    """Sign-ins, credential reads and proxied calls; none may fail."""
    namespace = release.namespace
    namespace.rolled_out(f"deployment/{FULL}-operator")
    name = f"load-{request.node.callspec.id if hasattr(request.node, 'callspec') else 'rotation'}"
    calls = load(release, name, browser, release.grant(browser), seconds=400, rate=15, sign_ins=True)
    yield calls
    calls.end()
    seen = calls.seen()
    print(seen["answers"], seen["errors"], seen["longest_gap"])
    assert not seen["errors"]
    assert not server_errors(seen), seen["problems"]
    assert seen["answers"]["sign_in 303"] > 10
    assert seen["answers"]["proxy 200"] > 50
    assert browser.get("/api/auth/me").status_code == 200


def test_it_rotates_what_the_chart_brought(release: Release) -> None:
    release.namespace.rolled_out(f"deployment/{FULL}-operator")
    for name in (
        "encryption-key",
        "signing-key",
        "database-login",
        "migrating-login",
        "superuser",
        "valkey-password",
        "livekit-secret",
    ):
        release.namespace.until(lambda name=name: is_at_rest(release, name))


def test_the_encryption_key_twice_under_load(release: Release, loaded: Load) -> None:
    """The operator killed at every step of the first, and backends more and fewer during the second."""
    with KilledAtEveryStep(release, "encryption-key") as killed:
        first, second = rotate(release, "encryption-key")
    # A step that ends between the kill and the next look is told of by nobody.
    assert len({"Staged", "Promoted", "Rewrapping", "Retiring"} & set(killed.seen)) >= 2, killed.seen
    again, third = rotate(release, "encryption-key", meanwhile=lambda: scale(release, 3))
    scale(release, 2)
    assert (again, len({first, second, third})) == (second, 3)
    assert release.sql("SELECT DISTINCT kek_id FROM keybearer.data_keys") == third
    assert release.sql("SELECT id FROM keybearer.keks") == third


def test_the_databases_login_twice_under_load(release: Release, loaded: Load) -> None:
    with KilledAtEveryStep(release, "database-login"):
        first, second = rotate(release, "database-login")
    again, back = rotate(release, "database-login", meanwhile=lambda: scale(release, 3))
    scale(release, 2)
    assert {first, second} == {"keybearer_app_a", "keybearer_app_b"}
    assert (again, back) == (second, first)
    assert release.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{second}'") == "0"


JOBS = [
    ("migrating-login", "database-migrator", "keybearer_migrator"),
    ("superuser", "postgres", "postgres"),
]


@pytest.mark.parametrize(("name", "secret", "login"), JOBS, ids=[name for name, _, _ in JOBS])
def test_a_login_that_jobs_use_gets_another_password(release: Release, name: str, secret: str, login: str) -> None:
    """Twice, and killed at every step of the first. What the Secret says lets in, and nothing that it said before."""
    passwords = [password(release, secret)]
    with KilledAtEveryStep(release, name):
        assert rotate(release, name) == (login, login)
    passwords.append(password(release, secret))
    rotate(release, name)
    passwords.append(password(release, secret))
    assert [lets_in(release, login, each) for each in passwords] == [False, False, True]
    release.namespace.kubectl("create", "job", f"after-{name}", f"--from=cronjob/{FULL}-prune")
    release.namespace.until(lambda: release.namespace.get("job", f"after-{name}")["status"].get("succeeded"))


def password(release: Release, secret: str) -> str:
    return base64.b64decode(release.namespace.get("secret", f"{FULL}-{secret}")["data"]["password"]).decode()


def lets_in(release: Release, login: str, password: str) -> bool:
    """Over the network, as Jobs come."""
    url = f"host=127.0.0.1 dbname=keybearer user={login} password={password}"
    pod = f"{FULL}-postgres-0"
    told = release.namespace.kubectl("exec", pod, "-c", "postgres", "--", "psql", url, "-Atc", "SELECT 1", check=False)
    assert told.strip() == "1" or "password authentication failed" in told, told
    return told.strip() == "1"


def test_the_signing_key_twice_under_load(release: Release, loaded: Load) -> None:
    """With no time in between: how long others may keep the old public key is not what is tried here."""
    shorter = json.dumps({"spec": {"overlap": {"min": "1s"}}})
    release.namespace.until(lambda: is_at_rest(release, "signing-key"))
    release.namespace.kubectl("patch", "secretrotation", f"{FULL}-signing-key", "--type=merge", "-p", shorter)
    with KilledAtEveryStep(release, "signing-key"):
        first, second = rotate(release, "signing-key")
    again, third = rotate(release, "signing-key")
    assert (again, len({first, second, third})) == (second, 3)
    pod = f"deployment/{FULL}-backend"
    release.namespace.until(
        lambda: release.sql("SELECT key_id FROM keybearer.ledger_batches ORDER BY no DESC LIMIT 1") == third
    )
    told = release.namespace.kubectl("exec", pod, "-c", "backend", "--", "keybearer", "ledger", "verify")
    assert "The ledger is whole" in told


def test_valkeys_password_twice_under_load(release: Release, loaded: Load) -> None:
    before = release.namespace.get("secret", f"{FULL}-valkey")["data"]["password"]
    with KilledAtEveryStep(release, "valkey-password"):
        rotate(release, "valkey-password")
    rotate(release, "valkey-password")
    after = release.namespace.get("secret", f"{FULL}-valkey")["data"]["password"]
    assert after != before
    for name in ("valkey", "backend"):
        release.namespace.rolled_out(f"deployment/{FULL}-{name}")


def test_what_happened_is_told_by_describe(release: Release) -> None:
    rotate(release, "encryption-key")

    told = release.namespace.kubectl("describe", "secretrotation", f"{FULL}-encryption-key")
    assert "is in use." in told, told
    assert "KeyPromoted" in told, told
    data = release.namespace.get("secret", f"{FULL}-keyring")["data"]
    assert not [value for value in data.values() if value in told]
    assert json.dumps(data) not in told
