"""`keybearer keys`: by hand, on one machine, what the operator does on a cluster (rule R9)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keybearer.cli import failures

if TYPE_CHECKING:
    from keybearer.keys.service import Keys
    from keybearer.kit.database import Database
    from keybearer.kit.settings import Settings

# A pod's last words, which the operator reads; there is no such file elsewhere.
_TERMINATION_LOG = Path("/dev/termination-log")
_LOOK_SECONDS = 0.2

app = typer.Typer(
    help="Rotate the keys that credentials are encrypted under: stage, promote, rewrap, retire.", no_args_is_help=True
)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")]
Signing = Annotated[bool, typer.Option("--signing", help="The keys that sign the ledger instead.")]
Servers = Annotated[
    list[str] | None,
    typer.Option("--server", help="A server's internal address, to wait for; by default the one of these settings."),
]
Within = Annotated[float, typer.Option(min=0, help="How many seconds to wait for the servers.")]


@app.command("list")
def list_keys(
    signing: Signing = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show each key, whether it is the primary, and how many data keys are wrapped with it."""
    with failures.explained():
        rows = _signing_rows() if signing else asyncio.run(_rows())
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        marks = "primary" if row["primary"] else ""
        used = "" if row.get("data_keys") is None else f"{row['data_keys']:,} data keys"
        typer.echo(f"{row['id']:<12} {marks:<8} {used}{'' if row['loaded'] else '  not in the keyring'}".rstrip())


@app.command()
def stage(
    key_id: Annotated[str | None, typer.Argument(help="An id for it; by default the next number.")] = None,
    signing: Signing = False,
) -> None:
    """Make a new key, which decrypts and does not encrypt yet."""
    from keybearer.cli import key_folder, material

    with failures.explained():
        folder = _folder(signing)
        chosen = key_id or key_folder.next_id(folder)
        key_folder.add(folder, chosen, material.signing_key() if signing else material.encryption_key())
    option = " --signing" if signing else ""
    typer.echo(f"{chosen} is staged. Back the folder up, then: keybearer keys promote {chosen}{option}")


@app.command()
def promote(key_id: KeyId, signing: Signing = False, server: Servers = None, within: Within = 30) -> None:
    """Encrypt with it from now on, once every server that runs can decrypt with it."""
    from keybearer.cli import key_folder

    with failures.explained():
        folder, servers = _folder(signing), _servers(server)
        key_folder.check(folder, key_id)
        _wait(servers, within, f"load {key_id}", lambda answer: key_id in _part(answer, signing)["keys"])
        if not signing:
            asyncio.run(_register(key_id))
        key_folder.promote(folder, key_id)
        _wait(servers, within, f"use {key_id}", lambda answer: _part(answer, signing)["primary"] == key_id)
    typer.echo(f"{key_id} is the primary key." + ("" if signing else " Next: keybearer keys rewrap"))


@app.command()
def rewrap(
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Data keys in one transaction.")] = 500,
    rate: Annotated[float, typer.Option(min=1, help="Data keys a second, at most.")] = 2_000,
) -> None:
    """Wrap every data key with the primary key. Servers go on; it can be stopped and started again."""
    from keybearer.cli import progress

    with failures.explained(), progress.shown("Counting") as show:

        def tell(total: int, remaining: int) -> None:
            show(f"{total - remaining:,} of {total:,} data keys rewrapped")
            if _TERMINATION_LOG.exists():
                _TERMINATION_LOG.write_text(json.dumps({"total": total, "remaining": remaining}))

        done = asyncio.run(_rewrap(batch_size, rate, tell))
    typer.echo(f"{done:,} data keys rewrapped. None is under another key.")


@app.command()
def retire(key_id: KeyId, signing: Signing = False) -> None:
    """Take a key out of use. The database refuses while anything is encrypted under it."""
    from keybearer.cli import key_folder

    with failures.explained():
        folder = _folder(signing)
        if signing:
            _refuse_primary((folder / "primary").read_text().strip(), key_id)
            key_folder.keep_public(folder, key_id)
            typer.echo(f"{key_id} signs no more. Its public half stays, because what it signed must verify for ever.")
            return
        asyncio.run(_retire(key_id))
        if not key_folder.is_writable(folder):
            typer.echo(f"{key_id} is retired in the database.")
            return
        kept = key_folder.set_aside(folder, key_id)
    typer.echo(f"{key_id} is retired. {kept} is needed to restore older backups; remove it when none is left.")


@app.command("set-login")
def set_login(
    login: Annotated[str, typer.Option(help="The idle one of keybearer_app_a and _b, keybearer_migrator or postgres.")],
) -> None:
    """Give a database login the password in KEYBEARER_NEW_CREDENTIALS_DIR."""
    from keybearer.cli import superuser
    from keybearer.kit import settings
    from keybearer.kit.connecting import DatabaseAddress
    from keybearer.kit.errors import ConfigurationError
    from keybearer.migrations import cluster, logins

    with failures.explained():
        found = DatabaseAddress("", settings.new_credentials_dir(), setting="NEW_CREDENTIALS_DIR").login()
        if found[0] != login:
            raise ConfigurationError(f"KEYBEARER_NEW_CREDENTIALS_DIR is of {found[0]!r}, not of {login!r}.")
        if login in {cluster.MIGRATION_LOGIN, cluster.SUPERUSER}:
            own = superuser.address() if login == cluster.SUPERUSER else _migrating()
            asyncio.run(logins.set_own(own, login, found[1]))
        else:
            asyncio.run(logins.set_login(_migrating(), login, found[1]))
    typer.echo(f"{login} has its new password.")


@app.command("end-login")
def end_login(
    login: Annotated[str, typer.Option(help="keybearer_app_a or keybearer_app_b.")],
    within: Annotated[float, typer.Option(min=0, help="Seconds after which its sessions are ended.")] = 60,
) -> None:
    """Wait until one of the two database logins has no session, and take its password away."""
    from keybearer.migrations import logins

    with failures.explained():
        ended = asyncio.run(
            logins.end_login(_migrating(), login, within, lambda left: typer.echo(f"{left} sessions left", err=True))
        )
    typer.echo(f"{login} is idle, and nobody knows its password." + (f" {ended} sessions were ended." if ended else ""))


async def _rows() -> list[dict[str, Any]]:
    from keybearer.keys import background

    async with _opened() as (_, db, keys):
        counts = await background.counts(db)
    ring = keys.keyring
    return [
        {"id": each, "primary": each == ring.primary, "loaded": each in ring.keys, "data_keys": counts.get(each)}
        for each in sorted(ring.keys.keys() | counts.keys())
    ]


def _signing_rows() -> list[dict[str, Any]]:
    from keybearer.keys import signing

    ring = signing.load(_folder(signing=True))
    return [{"id": each, "primary": each == ring.primary, "loaded": True} for each in sorted(ring.digests)]


async def _register(key_id: str) -> None:
    async with _opened() as (_, db, keys):
        await keys.register(db, key_id)


async def _rewrap(batch: int, rate: float, tell: Callable[[int, int], None]) -> int:
    from keybearer.keys import background
    from keybearer.kit.errors import ConfigurationError

    async with _opened() as (_, db, keys):
        await keys.register(db, keys.keyring.primary)
        if missing := await keys.missing(db):
            raise ConfigurationError(f"The keyring lacks {min(missing)}. Restore it from the keyring backup first.")
        return await background.rewrap(db, keys, batch=batch, rate=rate, tell=tell)


async def _retire(key_id: str) -> None:
    from keybearer.keys import background
    from keybearer.keys.errors import KeyInUse
    from keybearer.kit.errors import ConfigurationError

    async with _opened() as (_, db, keys):
        _refuse_primary(keys.keyring.primary, key_id)
        try:
            await background.retire(db, key_id)
        except KeyInUse as error:
            used = (await background.counts(db))[key_id]
            raise ConfigurationError(
                f"{key_id} still wraps {used:,} data keys. Run `keybearer keys rewrap` first; nothing was changed."
            ) from error


def _refuse_primary(primary: str, key_id: str) -> None:
    from keybearer.kit.errors import ConfigurationError

    if primary == key_id:
        raise ConfigurationError(f"{key_id} is the primary key. Promote another one first.")


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Settings, Database, Keys]]:
    from keybearer.keys import keyring
    from keybearer.keys.service import Keys
    from keybearer.kit import settings
    from keybearer.kit.database import Database

    found = settings.read()
    db = Database(found.database_url, credentials_dir=found.database_credentials_dir, pool_size=1)
    try:
        with db.address.explained():
            await (await db.connect()).close()
        yield found, db, Keys(keyring.load(found.keyring_dir))
    finally:
        await db.close()


def _folder(signing: bool) -> Path:
    from keybearer.kit import settings

    found = settings.read()
    return found.signing_keyring_dir if signing else found.keyring_dir


def _migrating() -> Any:
    from keybearer.kit import settings
    from keybearer.kit.connecting import DatabaseAddress

    return DatabaseAddress(settings.migration_database_url(), setting="MIGRATION_DATABASE_URL")


def _part(answer: dict[str, Any], signing: bool) -> dict[str, Any]:
    part: dict[str, Any] = answer["signing"] if signing else answer
    return part


def _servers(given: list[str] | None) -> list[str]:
    """Those to wait for. Without a word about them, the one of these settings where it answers."""
    from keybearer.kit import settings

    if given:
        return given
    found = settings.read()
    host = "127.0.0.1" if found.internal_host in {"0.0.0.0", "::"} else found.internal_host  # noqa: S104 -- compared
    own = f"http://{host}:{found.internal_port}"
    if _ask(own) is not None:
        return [own]
    typer.echo("No server answers on this machine, so none is waited for.", err=True)
    return []


def _ask(server: str) -> dict[str, Any] | None:
    import httpx2

    try:
        answer: dict[str, Any] = httpx2.get(f"{server}/internal/keyring", timeout=3, trust_env=False).json()
    except (httpx2.HTTPError, ValueError):
        return None
    return answer


def _wait(servers: list[str], seconds: float, what: str, done: Callable[[dict[str, Any]], bool]) -> None:
    """Raises ConfigurationError when one does not in time."""
    from keybearer.kit.errors import ConfigurationError

    deadline = time.monotonic() + seconds
    for server in servers:
        while (answer := _ask(server)) is None or answer.get("revision") is None or not done(answer):
            if time.monotonic() >= deadline:
                raise ConfigurationError(
                    f"{server} did not {what} within {seconds:.0f} s. Its log says why (reload.refused). Repeat "
                    "this when it does."
                )
            time.sleep(_LOOK_SECONDS)
