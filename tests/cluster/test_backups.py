"""Backups on a cluster: their Jobs, a disaster and the runbook after it, and a database certificate that expired."""

import base64
import re
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import yaml
from cluster.kube import REPOSITORY, Namespace, forwarded, namespaced
from cluster.release import FULL, Release, installed
from cluster.rotating import rotate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from installation import Browser, free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CLAIM = f"data-{FULL}-postgres-0"
DRILL = "keybearer_restore_drill_last_success_timestamp_seconds"
GUIDE = (REPOSITORY / "docs" / "kubernetes.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def release(cluster) -> Iterator[Release]:
    """Of its own: it is going to lose its database."""
    with namespaced("keybearer-backups") as namespace, installed(namespace) as release:
        yield release


@pytest.fixture
def browsers(release: Release) -> Iterator[Callable[[], Browser]]:
    made: list[Browser] = []

    def another() -> Browser:
        made.append(Browser(release.url))
        return made[-1]

    yield another
    for browser in made:
        browser.close()


def run_job(namespace: Namespace, cron_job: str, name: str) -> str:
    """What it printed."""
    namespace.kubectl("create", "job", name, f"--from=cronjob/{FULL}-{cron_job}")
    return finished(namespace, name)


def finished(namespace: Namespace, job: str) -> str:
    def ended() -> list[str]:
        conditions = namespace.get("job", job)["status"].get("conditions", [])
        return [each["type"] for each in conditions if each["status"] == "True"]

    namespace.until(ended)
    printed = namespace.kubectl("logs", f"job/{job}", "--all-containers")
    assert "Complete" in ended(), printed
    return printed


def metric(release: Release, name: str) -> float:
    """The largest, as dashboards take it: what concerns all of the installation, one of the backends knows."""
    return max(_metric(release, pod["metadata"]["name"], name) for pod in release.pods("backend"))


def _metric(release: Release, pod: str, name: str) -> float:
    """From the internal port, to which no Service leads."""
    port = free_port()
    with forwarded(release.namespace, pod, port, 9090, kind="pod"):
        text = httpx2.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


def connections(browser: Browser) -> list[tuple[str, str]]:
    return [(item["provider"], item["state"]) for item in browser.get("/api/connections").json()["items"]]


def erase(browser: Browser) -> None:
    email = browser.get("/api/auth/me").json()["email"]
    assert browser.delete("/api/auth/me", json={"confirm": email}).status_code == 204


def proxied(release: Release, grant: str) -> httpx2.Response:
    return httpx2.get(
        f"{release.url}/api/proxy/spotify/v1/me",
        headers={"authorization": f"Bearer {grant}"},
        trust_env=False,
        timeout=30,
    )


def lose_the_volume(release: Release) -> None:
    release.namespace.kubectl("delete", "pvc", CLAIM, "--wait=false")
    release.namespace.kubectl("delete", "pod", f"{FULL}-postgres-0")


def restore_job(release: Release) -> str:
    def made() -> list[str]:
        names = [item["metadata"]["name"] for item in release.namespace.items("jobs")]
        return [name for name in names if name.startswith(f"{FULL}-restore-")]

    release.namespace.until(made)
    return finished(release.namespace, made()[0])


def verify_ledger(release: Release) -> str:
    return release.namespace.kubectl(
        "exec", f"deploy/{FULL}-backend", "-c", "backend", "--", "keybearer", "ledger", "verify"
    )


def settled(release: Release) -> None:
    """The restore is withdrawn; backends come and go as ever."""
    release.helm("upgrade")
    release.wait()


def test_each_job_does_its_work(release: Release) -> None:
    namespace = release.namespace
    assert "read back and whole" in run_job(namespace, "backup", "try-backup")
    assert "successfully verified" in run_job(namespace, "base-backup", "try-base-backup")
    drilled = run_job(namespace, "restore-drill", "try-drill")
    assert "Its ledger is whole" in drilled
    print(drilled)
    assert "moved to files" in run_job(namespace, "prune", "try-prune")
    assert "added to the erasure log" in run_job(namespace, "erasures", "try-erasures")
    namespace.until(lambda: metric(release, DRILL) > 0, seconds=90)

    release.sql("SELECT pg_switch_wal()")
    listed = ("exec", f"{FULL}-postgres-0", "-c", "postgres", "--", "ls", "/backup/wal")
    before = set(namespace.kubectl(*listed).split())
    release.sql("SELECT pg_logical_emit_message(true, 'test', 'x')")
    release.sql("SELECT pg_switch_wal()")
    namespace.until(lambda: {name for name in namespace.kubectl(*listed).split() if name.endswith(".gz")} - before)


def test_a_lost_volume_comes_back_from_the_newest_archive(release: Release, browsers: Callable[[], Browser]) -> None:
    namespace = release.namespace
    alice, bob, carol = browsers(), browsers(), browsers()
    for browser, account in ((alice, "alice@example.com"), (bob, "bob@example.com")):
        release.sign_in(browser, account)
        release.connect(browser, account)
    grant = release.grant(alice)
    assert proxied(release, grant).status_code == 200
    before = release.sql("SELECT count(*) FROM keybearer.ledger")
    era = int(release.sql("SELECT max(era) FROM keybearer.ledger_eras"))

    archive = run_job(namespace, "backup", "disaster-backup")
    release.sign_in(carol, "carol@example.com")
    carol_id = carol.get("/api/auth/me").json()["id"]
    erase(bob)
    run_job(namespace, "erasures", "disaster-erasures")
    namespace.until(lambda: release.sql("SELECT count(*) FROM keybearer.users") == "2")

    began = time.monotonic()
    lose_the_volume(release)
    release.helm("upgrade", restore={"archive": "newest"})
    printed = restore_job(release)
    release.wait()
    namespace.until(lambda: alice.get("/api/auth/me").status_code == 401)
    seconds = time.monotonic() - began
    lost = re.search(r"in the ([\d,]+) s since then is lost", printed)
    assert lost, printed
    print(f"serves again {seconds:.0f} s after the loss; {lost[1]} s are lost\n{printed}")
    assert seconds < 15 * 60
    assert re.findall(r"keybearer-\w+\.kbb", archive)[0] in printed
    assert "Deleted again: 1 people" in printed

    # Sessions and grants are ended, connections are tried, and whoever left stays away.
    assert proxied(release, grant).status_code == 401
    assert release.sql("SELECT string_agg(DISTINCT name, ',') FROM keybearer.users").startswith("Alice")
    assert release.sql("SELECT count(*) FROM keybearer.users") == "1"
    assert release.sql(f"SELECT count(*) FROM keybearer.users WHERE id = '{carol_id}'") == "0"
    release.sign_in(alice)
    assert connections(alice) == [("spotify", "active")]
    release.sandbox.control("spotify", "expire_access_tokens")
    assert proxied(release, release.grant(alice)).status_code == 200
    assert release.sql("SELECT count(*) FROM keybearer.connections WHERE unverified") == "0"

    verified = verify_ledger(release)
    assert "The ledger is whole" in verified
    assert int(release.sql("SELECT max(era) FROM keybearer.ledger_eras")) == era + 1
    assert int(release.sql("SELECT count(*) FROM keybearer.ledger")) >= int(before)
    settled(release)
    assert alice.get("/api/auth/me").status_code == 200


def test_a_restore_leaves_a_database_in_use_alone(release: Release, browsers: Callable[[], Browser]) -> None:
    """The value may be set by mistake, or be forgotten."""
    run_job(release.namespace, "backup", "mistaken-backup")
    browser = browsers()
    release.sign_in(browser)
    release.helm("upgrade", restore={"archive": "newest"})

    def said() -> str:
        jobs = [item["metadata"]["name"] for item in release.namespace.items("jobs")]
        name = next((name for name in jobs if name.startswith(f"{FULL}-restore-")), None)
        return release.namespace.kubectl("logs", f"job/{name}", check=False) if name else ""

    release.namespace.until(lambda: "This database is in use" in said() or "servers use this database" in said())
    settled(release)
    assert browser.get("/api/auth/me").status_code == 200


def recovery(moment: str) -> dict[str, Any]:
    """The Job of the guide, for this release."""
    (block,) = re.findall(r"```yaml\n( *apiVersion: batch/v1\n.*?) *```", GUIDE, re.DOTALL)
    renamed = re.sub(r"\bkeybearer-(?=recover|postgres|backup)", f"{FULL}-", textwrap.dedent(block))
    document: dict[str, Any] = yaml.safe_load(renamed.replace('value: ""', f'value: "{moment}"'))
    return document


def put_back(release: Release, moment: str = "") -> None:
    """Steps 1 to 5 of the guide."""
    namespace = release.namespace
    namespace.kubectl("scale", f"deployment/{FULL}-backend", "--replicas=0")
    namespace.until(lambda: not namespace.items("pods", "app.kubernetes.io/component=backend"))
    namespace.rolled_out(f"statefulset/{FULL}-postgres")
    namespace.kubectl("scale", f"statefulset/{FULL}-postgres", "--replicas=0")
    namespace.until(lambda: not namespace.items("pods", "app.kubernetes.io/component=postgres"))
    namespace.apply(recovery(moment))
    print(finished(namespace, f"{FULL}-recover"))
    namespace.kubectl("scale", f"statefulset/{FULL}-postgres", "--replicas=1")
    namespace.rolled_out(f"statefulset/{FULL}-postgres")
    namespace.until(lambda: release.sql("SELECT pg_is_in_recovery()") == "f")
    pod = f"{FULL}-postgres-0"
    namespace.kubectl("exec", pod, "-c", "postgres", "--", "sh", "/etc/postgresql/follow-secret.sh")
    release.helm("upgrade", restore={"inPlace": True})
    print(restore_job(release))
    namespace.kubectl("scale", f"deployment/{FULL}-backend", "--replicas=1")
    settled(release)
    assert "The ledger is whole" in verify_ledger(release)
    namespace.kubectl("delete", "job", f"{FULL}-recover")


def archived_so_far(release: Release) -> None:
    segment = release.sql("SELECT pg_walfile_name(pg_switch_wal())")
    archived = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
    release.namespace.until(lambda: release.sql(archived) == "t")


def is_there(release: Release, person: str) -> bool:
    return release.sql(f"SELECT count(*) FROM keybearer.users WHERE id = '{person}'") == "1"


def test_a_lost_volume_comes_back_to_its_last_segment(release: Release, browsers: Callable[[], Browser]) -> None:
    run_job(release.namespace, "base-backup", "lost-base")
    bob = browsers()
    release.sign_in(bob, "bob@example.com")
    bob_id = bob.get("/api/auth/me").json()["id"]
    archived_so_far(release)

    began = time.monotonic()
    lose_the_volume(release)
    put_back(release)
    print(f"serves again {time.monotonic() - began:.0f} s after the loss")

    assert is_there(release, bob_id)
    assert bob.get("/api/auth/me").status_code == 401


def test_a_database_goes_back_to_a_moment(release: Release, browsers: Callable[[], Browser]) -> None:
    """To before the passwords of its Secrets: it follows them again."""
    run_job(release.namespace, "base-backup", "moment-base")
    bob, carol = browsers(), browsers()
    release.sign_in(bob, "bob@example.com")
    bob_id = bob.get("/api/auth/me").json()["id"]
    time.sleep(2)
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    time.sleep(1)
    release.sign_in(carol, "carol@example.com")
    carol_id = carol.get("/api/auth/me").json()["id"]
    for name in ("superuser", "migrating-login"):
        rotate(release, name)
    archived_so_far(release)

    put_back(release, moment)

    assert is_there(release, bob_id)
    assert not is_there(release, carol_id)


def certificate(names: list[str], *, days: int) -> dict[str, str]:
    """An authority and a server's certificate of it that ends in so many days."""
    now = datetime.now(UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])

    def builder(name: x509.Name, of: ec.EllipticCurvePrivateKey, until: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority_name)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=of is authority_key, path_length=None), critical=True)
        )

    authority = builder(authority_name, authority_key, now + timedelta(days=30)).sign(authority_key, hashes.SHA256())
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    signed = (
        builder(name, key, now + timedelta(days=days))
        .add_extension(alternatives, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    content = {
        "ca.crt": authority.public_bytes(Encoding.PEM),
        "tls.crt": signed.public_bytes(Encoding.PEM),
        "tls.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    return {name: base64.b64encode(value).decode() for name, value in content.items()}


def test_an_expired_certificate_of_the_database_is_said_and_heals(cluster) -> None:
    with namespaced("keybearer-expired") as namespace:
        release = Release(namespace, 18080, 18082)
        names = [f"{FULL}-postgres", f"{FULL}-postgres.{namespace.name}.svc"]

        def secret(days: int) -> dict[str, Any]:
            return {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "own-tls"},
                "data": certificate(names, days=days),
            }

        namespace.apply(secret(-1))
        values: dict[str, Any] = {
            "secrets": {"postgresTls": {"existingSecret": "own-tls"}},
            "backend": {"hpa": {"min": 1, "max": 2}},
            "backup": {"enabled": False},
        }
        release.helm("install", **values)
        selector = "app.kubernetes.io/component=backend"

        def said() -> str:
            return namespace.kubectl("logs", "-l", selector, "-c", "wait-for-schema", "--tail=20", check=False)

        namespace.until(lambda: "certificate has expired" in said())
        assert "the database's certificate is not valid" in said()
        namespace.apply(secret(30))
        namespace.kubectl("rollout", "restart", f"statefulset/{FULL}-postgres")
        release.wait()


def test_the_certificate_between_pods_is_replaced(release: Release, browsers: Callable[[], Browser]) -> None:
    """With the commands of docs/rotation.md."""
    namespace = release.namespace
    before = namespace.get("secret", f"{FULL}-postgres-tls")["data"]
    guide = (REPOSITORY / "docs" / "rotation.md").read_text(encoding="utf-8")
    steps = guide.partition("## Replace the certificate between pods")[2].partition("```sh\n")[2].partition("```")[0]
    for step in steps.splitlines():
        command = step.replace("keybearer-", f"{FULL}-").split()
        if command[0] == "kubectl":
            namespace.kubectl(*command[3:])
        else:
            release.helm("upgrade")
    settled(release)

    after = namespace.get("secret", f"{FULL}-postgres-tls")["data"]
    assert [name for name in before if before[name] == after[name]] == []
    browser = browsers()
    release.sign_in(browser)
    assert browser.get("/api/auth/me").status_code == 200


def test_a_full_backup_volume_is_said(cluster) -> None:
    pytest.skip("sizes of volumes are not enforced here; the command's own test fills a volume (tests/backups)")
