"""`keybearer run`: a program with nothing but a grant, which ends with it."""

import asyncio
import json
import os
import signal
import sys

import pytest
import warm
from keybearer.cli.run import PASSED_ON, child_environment
from keybearer.kit.errors import ConfigurationError
from sqlalchemy import text


def surroundings(product, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "SECRET_OF_THE_SHELL": "1",
        **product.environment,
        **more,
    }


async def finished(product, *arguments: str, **more: str):
    done = await asyncio.to_thread(warm.run, ["run", *arguments], env=surroundings(product, **more))
    return done.returncode, done.stdout, done.stderr


async def test_the_program_has_a_grant_and_nothing_else(connected):
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    code, out, err = await finished(
        connected, "--providers", "spotify", "--env", "EXTRA", "--", sys.executable, "-c", show, EXTRA="kept"
    )
    assert (code, err) == (0, "")
    environment = json.loads(out)
    grant = environment.pop("KEYBEARER_GRANT")
    assert environment.pop("KEYBEARER_URL") == connected.url
    assert environment.pop("EXTRA") == "kept"
    assert environment.keys() <= set(PASSED_ON)
    assert await connected.services.resolver.resolve(grant) is None, "the grant ended with the program"


async def test_the_program_plays_and_the_ledger_says_who_gave_it_leave(connected, sandbox):
    code, out, err = await finished(
        connected, "--providers", "spotify", "--agent", "Jukebox", "--", sys.executable, "-m", "keybearer_agent.demo",
        "Play Despacito",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert out.endswith("It plays now.\n")
    async with connected.services.db.transaction(connected.alice.tenant_id) as tx:
        rows = await tx.execute(text("SELECT action, actor_kind FROM ledger WHERE action LIKE 'grant.%' ORDER BY id"))
        assert rows.all() == [("grant.created", "person"), ("grant.revoked", "person")]


@pytest.mark.long
async def test_the_exit_code_is_passed_on(connected, subtests):
    for program, code in (
        ([sys.executable, "-c", "raise SystemExit(7)"], 7),
        ([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"], 128 + 9),
        (["/nonexistent/program"], 127),
        (["/etc"], 126),
    ):
        with subtests.test(code=code):
            assert (await finished(connected, "--providers", "spotify", "--", *program))[0] == code
            assert await connected.services.grants.list_live(connected.alice) == []


async def test_signals_reach_the_program_and_the_grant_is_still_taken_back(connected, subtests):
    wait = (
        "import signal, sys\n"
        "for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
        "    signal.signal(each, lambda number, _: sys.exit(number))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with subtests.test(signal=number.name):
            arguments = ["run", "--providers", "spotify", "--", sys.executable, "-c", wait]
            with warm.start(arguments, env=surroundings(connected), stdout=warm.PIPE) as process:
                assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
                assert len(await connected.services.grants.list_live(connected.alice)) == 1
                process.send_signal(number)
                assert await asyncio.to_thread(process.wait, 30) == number
            assert await connected.services.grants.list_live(connected.alice) == []


@pytest.mark.long
async def test_what_cannot_be_given_is_said_and_nothing_runs(connected, subtests):
    for arguments, said in (
        (["--providers", "google"], "You have no connection to one of these providers."),
        (["--providers", "spotify", "--person", "bob@example.com"], "Nobody of that name has signed in yet."),
        (["--providers", "spotify", "--ttl", "5"], "`ttl_seconds` must be from 60"),
        (["--connection", "7"], "--connection takes ids"),
        ([], "Name at least one entry"),
    ):
        with subtests.test(arguments=arguments):
            code, out, err = await finished(connected, *arguments, "--", sys.executable, "-c", "print('ran')")
            assert (code, out) == (1, "")
            assert said in err


async def test_without_settings_it_says_where_it_looked(connected, tmp_path):
    arguments = ["run", "--providers", "spotify", "--data", str(tmp_path / "none"), "--", "true"]
    done = await asyncio.to_thread(warm.run, arguments, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 1
    assert f"{tmp_path}/none/env cannot be read" in done.stderr


async def test_the_data_folder_of_up_is_enough(connected, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "env").write_text("".join(f"{name}='{value}'\n" for name, value in connected.environment.items()))
    program = [sys.executable, "-c", "print('ran')"]
    arguments = ["run", "--providers", "spotify", "--data", str(folder), "--", *program]
    done = await asyncio.to_thread(warm.run, arguments, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stdout) == (0, "ran\n")


@pytest.mark.parametrize("name", ["KEYBEARER_DATABASE_URL", "KEYBEARER_KEYRING_DIR", "KEYBEARER_GRANT"])
def test_no_setting_can_be_handed_over_by_name(name):
    with pytest.raises(ConfigurationError):
        child_environment({name: "x"}, "http://localhost", "kbg_", [name])
