"""The login from KEYBEARER_DATABASE_CREDENTIALS_DIR, and the sentences that say why a connection did not come."""

import asyncio
import itertools
import shutil
import threading
from pathlib import Path

import asyncpg
import pytest
from keybearer.bootstrap import guard
from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.database import Database
from keybearer.kit.errors import ConfigurationError, Unavailable
from keybearer.kit.listener import Listener
from keybearer.migrations import runner

SETTING = "KEYBEARER_DATABASE_CREDENTIALS_DIR"


def folder(path: Path, username: str = "keybearer_app_a", password: str = "app") -> Path:
    path.mkdir(exist_ok=True)
    (path / "username").write_text(username + "\n")
    (path / "password").write_text(password + "\n")
    return path


def without_login(url: str, login: str = "") -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{login}{rest.rpartition('@')[2]}"


@pytest.mark.parametrize("login", ["", "somebody@", "somebody:wrong@"])
async def test_the_files_are_the_login_whatever_the_url_says(tmp_path: Path, database, login: str) -> None:
    address = DatabaseAddress(without_login(database.url, login), folder(tmp_path))
    connection = await address.connect()
    assert await connection.fetchval("SELECT current_user") == "keybearer_app_a"
    await connection.close()


async def test_a_login_in_the_query_is_overridden_too(tmp_path: Path, database) -> None:
    url = without_login(database.url) + "&user=somebody&password=wrong"
    connection = await DatabaseAddress(url, folder(tmp_path)).connect()
    assert await connection.fetchval("SELECT current_user") == "keybearer_app_a"
    await connection.close()


async def test_a_password_of_any_characters(tmp_path: Path, database) -> None:
    password = "p:/?#@ %\\'\"ü"
    admin = await asyncpg.connect(database.superuser_url)
    await admin.execute("CREATE ROLE probe_odd LOGIN PASSWORD " + "$$" + password + "$$")
    try:
        address = DatabaseAddress(without_login(database.url), folder(tmp_path, "probe_odd", password))
        await (await address.connect()).close()
    finally:
        await admin.execute("DROP ROLE probe_odd")
        await admin.close()


async def test_the_next_connection_uses_what_the_files_say_then(tmp_path: Path, database) -> None:
    """As a rotation does it: the other login comes while connections of the first are open."""
    admin = await asyncpg.connect(database.superuser_url)
    await admin.execute("ALTER ROLE keybearer_app_b PASSWORD 'other'")
    await admin.close()
    db = Database(without_login(database.url), credentials_dir=folder(tmp_path))
    first = await db.connect()
    await db.ping()
    folder(tmp_path, "keybearer_app_b", "other")
    second = await db.connect()

    assert await first.fetchval("SELECT current_user") == "keybearer_app_a"
    assert await second.fetchval("SELECT current_user") == "keybearer_app_b"
    for connection in (first, second):
        await connection.close()
    await db.close()


def test_name_and_password_are_of_one_time(tmp_path: Path) -> None:
    """While they are exchanged, as kubelet does it: a link is replaced, and what it led to removed."""
    for each in ("a", "b"):
        folder(tmp_path / each, f"login_{each}", f"password of {each}")
    (tmp_path / "..data").symlink_to("a")
    for name in ("username", "password"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    address, stop = DatabaseAddress("postgresql://db/x", tmp_path), threading.Event()

    def exchange() -> None:
        for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            before = (tmp_path / "..data").readlink()
            shutil.copytree(tmp_path / "ab"[number % 2], tmp_path / f"..{number}")
            (tmp_path / "new").symlink_to(f"..{number}")
            (tmp_path / "new").replace(tmp_path / "..data")
            if number:
                shutil.rmtree(tmp_path / before)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        pairs = {address.login() for _ in range(5000)}
    finally:
        stop.set()
        thread.join()
    assert pairs == {("login_a", "password of a"), ("login_b", "password of b")}


def no_folder(path: Path) -> None:
    shutil.rmtree(path)


def no_username(path: Path) -> None:
    (path / "username").unlink()


def no_password(path: Path) -> None:
    (path / "password").unlink()


def empty_password(path: Path) -> None:
    (path / "password").write_text(" \n")


def binary_password(path: Path) -> None:
    (path / "password").write_bytes(b"\xff\xfe")


DAMAGES = [no_folder, no_username, no_password, empty_password, binary_password]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_file_that_is_missing_or_empty_stops_the_start(tmp_path: Path, database, damage) -> None:
    files = folder(tmp_path / "login")
    damage(files)
    db = Database(without_login(database.url), credentials_dir=files)
    with pytest.raises(ConfigurationError, match=SETTING) as refused:
        await guard.check_database(db)
    assert str(files) in str(refused.value)
    await db.close()


async def test_files_that_vanish_later_are_a_database_that_is_away(tmp_path: Path, database) -> None:
    db = Database(without_login(database.url), credentials_dir=folder(tmp_path / "login"))
    no_folder(tmp_path / "login")
    with pytest.raises(Unavailable):
        await db.ping()
    folder(tmp_path / "login")
    await db.ping()
    await db.close()


async def test_a_login_that_is_refused_later_is_a_database_that_is_away(tmp_path: Path, database) -> None:
    """Between a changed password and the files that say it."""
    db = Database(without_login(database.url), credentials_dir=folder(tmp_path, password="not yet"))
    with pytest.raises(Unavailable):
        await db.ping()
    folder(tmp_path)
    await db.ping()
    await db.close()


async def test_the_listener_uses_the_files_and_comes_back(tmp_path: Path, database) -> None:
    db = Database(without_login(database.url), credentials_dir=folder(tmp_path))
    listener = Listener(db.connect, db.announce)
    no_password(tmp_path)
    listener.start()
    await asyncio.sleep(0.3)
    assert not listener.fresh
    folder(tmp_path)
    for _ in range(500):
        if listener.fresh:
            break
        await asyncio.sleep(0.02)
    assert listener.fresh
    await listener.stop()
    await db.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://a:planted@127.0.0.1:1/b", "does not answer (ConnectionRefusedError)"),
        ("postgresql://a:planted@127.0.0.1:port/b", "is not a URL that can be read"),
        ("mysql://a:planted@127.0.0.1/b", "must look like postgresql://"),
        ("postgresql://a:planted@127.0.0.1:1/b?sslmode=full", "`sslmode` parameter must be one of"),
        ("postgresql://a:planted@127.0.0.1:1/b?sslmode=verify-full&sslrootcert=/nowhere/ca.crt", "/nowhere/ca.crt"),
    ],
)
async def test_why_no_connection_came_is_said(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused, DatabaseAddress(url).explained():
        await DatabaseAddress(url).connect()
    assert says in str(refused.value)
    assert "KEYBEARER_DATABASE_URL" in str(refused.value)
    assert "planted" not in str(refused.value)


async def test_a_database_that_is_not_made_is_named(database) -> None:
    address = DatabaseAddress(database.url.replace(database.name, "nowhere"))
    with pytest.raises(ConfigurationError, match="there is no database of that name"), address.explained():
        await address.connect()


async def test_migrating_says_which_setting(database) -> None:
    wrong = database.owner_url.replace(":migrator@", ":planted@")
    with pytest.raises(ConfigurationError, match="KEYBEARER_MIGRATION_DATABASE_URL: ") as refused:
        await runner.migrate(wrong)
    assert "planted" not in str(refused.value)
