"""Keys rotated by hand under a running server: nobody is refused, and nothing is left under the old key."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from installation import Installation, Process, installed
from signin.site import Sql


@pytest.fixture
def site(tmp_path: Path, database, sandbox) -> Iterator[Installation]:
    with installed(tmp_path / "site", database.url, database.owner_url, sandbox) as site:
        yield site


def internal(process: Process) -> tuple[str, str]:
    return ("--server", f"http://127.0.0.1:{process.internal_port}")


@contextmanager
def load(*calls: Callable[[], int]) -> Iterator[Counter[int]]:
    """Repeats each call in a thread of its own until the block ends; the statuses that came."""
    statuses: Counter[int] = Counter()
    going = threading.Event()
    going.set()

    def repeat(call: Callable[[], int]) -> None:
        while going.is_set():
            statuses[call()] += 1

    threads = [threading.Thread(target=repeat, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        going.clear()
        for thread in threads:
            thread.join()


def test_two_rotations_under_load(site: Installation, database) -> None:
    process, sql = site.start(), Sql(database.superuser_url)
    server = internal(process)
    owner, newcomer, stranger = site.browser(), site.browser(), site.browser()
    site.sign_in(owner)
    site.connect(owner)
    grant = site.grant(owner)["grant"]

    def play() -> int:
        return site.call(grant, "spotify/v1/me").status_code

    def begin() -> int:
        """A flow's secrets are sealed under the tenant's key."""
        return stranger.get("/api/auth/google/start").status_code

    def join_and_leave() -> int:
        """A person's own key is made under whatever is primary at that moment."""
        site.sign_in(newcomer, "carol@example.com")
        return newcomer.delete("/api/auth/me", json={"confirm": "carol@example.com"}).status_code

    with load(play, begin, join_and_leave) as statuses:
        for old, new in (("k1", "k2"), ("k2", "k3")):
            assert site.command("keys", "stage").stdout.startswith(f"{new} is staged")
            assert f"{new} is the primary key" in site.command("keys", "promote", new, *server).stdout
            assert "None is under another key" in site.command("keys", "rewrap", "--batch-size", "3").stdout
            assert f"{old} is retired" in site.command("keys", "retire", old).stdout
    assert statuses.keys() == {200, 204, 302}, statuses
    assert {row["id"] for row in sql.all("SELECT id FROM keks")} == {"k3"}
    assert {row["kek_id"] for row in sql.all("SELECT DISTINCT kek_id FROM data_keys")} == {"k3"}
    assert site.command("keys", "list").stdout.split()[:2] == ["k3", "primary"]
    assert process.internal("/internal/keyring").json()["primary"] == "k3"

    process.terminate()
    site.start()
    assert play() == 200


def test_signing_keys_too_and_the_ledger_verifies(site: Installation) -> None:
    server = internal(site.start())
    browser = site.browser()
    site.sign_in(browser)
    assert site.command("keys", "stage", "--signing").returncode == 0
    assert "k2 is the primary key" in site.command("keys", "promote", "k2", "--signing", *server).stdout
    assert "public half stays" in site.command("keys", "retire", "k1", "--signing").stdout
    assert sorted(path.name for path in (site.folder / "signing").iterdir()) == ["k1.pub", "k2", "primary"]
    assert site.command("ledger", "verify").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("retire", "k1"), "Promote another one first"),
        (("promote", "k9"), "has no key k9"),
        (("stage", "k1"), "has a key"),
        (("stage", "no/id"), "is not a key id"),
        (("promote", "k1", "--server", "http://127.0.0.1:1", "--within", "0"), "did not load"),
        (("end-login", "--login", "postgres"), "no login of the application"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    site: Installation, database, arguments: tuple[str, ...], says: str
) -> None:
    ring = site.folder / "keyring"
    site.start()
    before = {path.name: path.read_bytes() for path in ring.iterdir()}
    done = site.command("keys", *arguments, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert {path.name: path.read_bytes() for path in ring.iterdir()} == before
    assert {row["id"] for row in Sql(database.superuser_url).all("SELECT id FROM keks")} == {"k1"}


def test_a_key_in_use_is_not_retired(site: Installation) -> None:
    server = internal(site.start())
    site.sign_in(site.browser())
    site.command("keys", "stage")
    site.command("keys", "promote", "k2", *server)
    refused = site.command("keys", "retire", "k1", check=False)
    assert refused.returncode == 1
    assert "still wraps" in refused.stderr
    assert (site.folder / "keyring" / "k1").exists()
