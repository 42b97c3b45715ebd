"""The application's two logins: the idle one gets a password, the other loses its last session and its password."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import warm
from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import logins

# Tests of this server use the other one.
IDLE = "keybearer_app_b"


def migrating(database) -> DatabaseAddress:
    return DatabaseAddress(database.owner_url, setting="MIGRATION_DATABASE_URL")


async def connected(database, password: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await DatabaseAddress(database.url).connect((IDLE, password))


async def test_a_login_begins_and_ends(database) -> None:
    await logins.set_login(migrating(database), IDLE, "first: pässword'")
    session = await connected(database, "first: pässword'")
    told: list[int] = []
    assert await logins.end_login(migrating(database), IDLE, 0.3, told.append) == 1
    assert told
    assert set(told) == {1}
    async with asyncio.timeout(10):
        while not session.is_closed():  # noqa: ASYNC110 -- the server does it
            await asyncio.sleep(0.01)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connected(database, "first: pässword'")


async def test_a_session_that_goes_in_time_is_not_ended(database) -> None:
    await logins.set_login(migrating(database), IDLE, "second")
    session = await connected(database, "second")
    ending = asyncio.create_task(logins.end_login(migrating(database), IDLE, 30))
    await asyncio.sleep(0.2)
    await session.close()
    assert await ending == 0


async def test_who_may_not_is_told_whom_to_ask(database) -> None:
    """The application's own login, in place of the migrating one."""
    with pytest.raises(ConfigurationError, match="migrate --roles"):
        await logins.set_login(DatabaseAddress(database.url), IDLE, "x")


def test_the_password_comes_from_files_and_is_nowhere_else(database, tmp_path: Path) -> None:
    (tmp_path / "username").write_text(IDLE)
    (tmp_path / "password").write_text("planted")
    given = {
        "KEYBEARER_MIGRATION_DATABASE_URL": database.owner_url,
        "KEYBEARER_NEW_CREDENTIALS_DIR": str(tmp_path),
    }
    done = warm.run(["keys", "set-login", "--login", IDLE], env=warm.environment(**given))
    assert (done.returncode, done.stdout) == (0, f"{IDLE} has its new password.\n")
    asyncio.run(_look_in(database))
    other = warm.run(["keys", "set-login", "--login", "keybearer_app_a"], env=warm.environment(**given))
    assert other.returncode == 1
    assert "is of 'keybearer_app_b'" in other.stderr
    assert "planted" not in done.stdout + done.stderr + other.stderr
    ended = warm.run(["keys", "end-login", "--login", IDLE, "--within", "0"], env=warm.environment(**given))
    assert ended.returncode == 0, ended.stderr
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(_look_in(database))


async def test_a_login_of_jobs_changes_its_own_password_as_often_as_it_is_told_to(database) -> None:
    """The second time is a Job that was ended after the change, and is repeated with the password of before."""
    await logins.set_login(migrating(database), IDLE, "old")
    parts = urlsplit(database.url)
    own = DatabaseAddress(urlunsplit(parts._replace(netloc=f"{IDLE}:old@{parts.netloc.rpartition('@')[2]}")))
    for _ in range(2):
        await logins.set_own(own, IDLE, "new")
    await (await connected(database, "new")).close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connected(database, "old")
    with pytest.raises(ConfigurationError, match="does not let us in"):
        await logins.set_own(own, IDLE, "third")


async def _look_in(database) -> None:
    await (await connected(database, "planted")).close()
