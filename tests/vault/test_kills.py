"""The process is killed at every step of a refresh; another one takes over, with nobody's help."""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import warm
from keybearer.cli import sandbox as sandbox_files
from keybearer.providers import catalogue
from keybearer.providers.identity_answer import ProviderIdentity
from keybearer.providers.tokens import read_answer

TENANT = UUID("00000000-0000-7000-8000-000000000001")
SCRIPT = Path(__file__).parent / "refresher_process.py"
ROTATES = ("rotate", {})
FORGIVES = ("rotate", {"rotation_grace_seconds": 60})
REFUSES = ("invalid_grant", {})
REFUSES_ONCE = ("invalid_grant", {"times": 1})


@dataclass(frozen=True)
class Kill:
    """`asked`: token requests that reached the provider, of both processes together."""

    point: str
    fault: tuple[str, dict[str, object]] | None
    then: str
    asked: int
    journal: tuple[str, ...] = ("unknown", "stored")
    reason: str | None = None


KILLS = [
    Kill("refresh.leased", ROTATES, "token", 1),
    Kill("refresh.sending", ROTATES, "token", 1),
    Kill("refresh.answered", None, "token", 2),
    Kill("refresh.answered", FORGIVES, "token", 2),
    Kill("refresh.answered", ROTATES, "needs_reconnect", 2, ("unknown", "rotation_lost"), "rotation_lost"),
    Kill("refresh.stored", ROTATES, "token", 1, ("stored",)),
    Kill("refresh.confirming", REFUSES_ONCE, "token", 2),
    Kill("refresh.confirming", REFUSES, "needs_reconnect", 2, ("unknown", "rotation_lost"), "rotation_lost"),
    Kill("refresh.rejecting", REFUSES, "needs_reconnect", 3, ("unknown", "rotation_lost"), "rotation_lost"),
]


QUICKLY = {"refresh.leased", "refresh.answered", "refresh.stored"}  # the others run in the long tests


def _parameter(kill: Kill) -> object:
    marks = () if kill.point in QUICKLY else (pytest.mark.long,)
    return pytest.param(kill, marks=marks, id=f"{kill.point}-{kill.fault and kill.fault[0]}-{kill.then}")


@pytest.mark.parametrize("kill", [_parameter(kill) for kill in KILLS])
async def test_killed_and_started_again(world, sandbox, database, tmp_path: Path, kill: Kill) -> None:
    folder = tmp_path / "providers"
    sandbox_files.write_provider_files(folder, sandbox.url)
    provider = catalogue.load(folder).find("spotify")
    connection_id = await _connect(world, sandbox, provider)
    if kill.fault is not None:
        sandbox.control("spotify", kill.fault[0], **kill.fault[1])
    common = [
        database.url,
        str(tmp_path / "keyring"),
        str(folder),
        sandbox.url.removeprefix("http://"),
        str(connection_id),
    ]

    assert await _run(*common, kill.point) == (-signal.SIGKILL, "")
    assert await _run(*common, "") == (0, kill.then)

    assert int(sandbox.stats()["spotify"].get("refresh", 0)) == kill.asked
    assert tuple(await world.journal()) == kill.journal
    row = await world.row(connection_id)
    assert row["state_reason"] == kill.reason
    assert row["refresh_token"] is not None
    assert row["epoch"] == (2 if kill.then == "token" else 1)
    assert len(await world.ledger()) == 1


async def _connect(world, sandbox, provider) -> UUID:
    document = sandbox.tokens("spotify", "user-read-email")
    identity = ProviderIdentity(
        issuer="https://sandbox.test",
        subject="alice",
        email=None,
        email_verified=False,
        name="Alice",
        avatar_url=None,
        account_name="Alice",
    )
    async with world.db.transaction(TENANT) as tx:
        connection = await world.vault().store(
            tx,
            tenant_id=TENANT,
            user_id=world.person,
            provider=provider,
            identity=identity,
            answer=read_answer({**document, "expires_in": 0}),
            requested_scopes=(),
        )
    return connection.id


async def _run(*arguments: str) -> tuple[int, str]:
    done = await asyncio.to_thread(warm.run, [str(SCRIPT), *arguments], env=warm.environment())
    assert done.returncode in {0, -signal.SIGKILL}, done.stdout + done.stderr
    return done.returncode, done.stdout.strip().splitlines()[-1] if done.returncode == 0 else ""
