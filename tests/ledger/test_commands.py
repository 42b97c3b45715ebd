"""`keybearer ledger` as an operator runs it."""

import json
import os
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
import warm
from keybearer.ledger.model import Entry

TENANT = UUID("00000000-0000-7000-8000-000000000001")


@pytest.fixture
def run(database, tmp_path: Path, keys):
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": os.environ["PATH"],
            "KEYBEARER_PUBLIC_URL": "http://localhost:1",
            "KEYBEARER_DATABASE_URL": database.url,
            "KEYBEARER_KEYRING_DIR": str(tmp_path / "keyring"),
            "KEYBEARER_SIGNING_KEYRING_DIR": str(tmp_path / "signing"),
        }
        return warm.run(["ledger", *arguments], env=environment)

    return run


async def test_verify_tells_the_state_and_fails_when_it_is_broken(run, books, record, superuser, tmp_path) -> None:
    await record(1, 2)
    whole = run("verify")
    assert whole.returncode == 0, whole.stderr
    assert "The ledger is whole: 4 batches with 12 rows" in whole.stdout
    assert "Not sealed yet, and so not proved: 2 rows" in whole.stdout
    assert "cannot be seen without a checkpoint" in whole.stdout

    checkpoint = tmp_path / "checkpoint.json"
    from keybearer.ledger.checkpoint import public_form

    checkpoint.write_text(json.dumps(public_form((await books.batches(3, 1))[0])))
    kept = run("verify", "--checkpoint", str(checkpoint))
    assert kept.returncode == 0
    assert "without a checkpoint" not in kept.stdout

    await superuser.execute("DELETE FROM ledger_batches WHERE no = 4")
    assert run("verify").returncode == 0
    cut = run("verify", "--checkpoint", str(checkpoint))
    assert cut.returncode == 1
    assert "The ledger is NOT whole: batch 4 is missing" in cut.stdout

    await superuser.execute("UPDATE ledger SET action = 'sign_in' WHERE id = 4")
    broken = run("verify")
    assert broken.returncode == 1
    assert "The ledger is NOT whole: batch 2 (rows 4 to 6) was changed" in broken.stdout
    assert "1 batches with 3 rows are as they were sealed" in broken.stdout


async def test_an_unusable_checkpoint_is_told(run, tmp_path) -> None:
    (tmp_path / "empty").write_text("")
    told = run("verify", "--checkpoint", str(tmp_path / "empty"))
    assert (told.returncode, told.stdout) == (1, "")
    assert "The file holds no checkpoint" in told.stderr


async def test_list_shows_entries_and_lets_no_escape_sequence_through(run, ledger, db, person, sealer) -> None:
    for action, reason in (("sign_in", None), ("proxy.denied", "\x1b[31mred\x1b[0m [bold]")):
        async with db.transaction(TENANT) as tx:
            await ledger.record(
                tx,
                Entry(
                    tenant_id=TENANT,
                    action=action,
                    user_id=person,
                    actor_kind="agent",
                    detail={"agent": "DJ", "reason": reason, "path": "/v1/me"},
                ),
            )
    table = run("list")
    assert table.returncode == 0, table.stderr
    newest, oldest = table.stdout.splitlines()[1:3]
    assert "proxy.denied" in newest
    assert "[31mred" in newest
    assert "[bold]" in newest
    assert "\x1b" not in newest
    assert "sign_in" in oldest
    assert "not sealed" in oldest
    page = json.loads(run("list", "--json", "--action", "sign_in", "--limit", "1").stdout)
    assert [item["action"] for item in page["items"]] == ["sign_in"]
    assert page["items"][0]["actor"]["name"] == "DJ"
    assert page["next"] is None
    assert "--after" in run("list", "--limit", "1").stdout
    assert run("list", "--from", "yesterday").returncode == 2
