"""`keybearer run`: starts a program that holds nothing but a grant, and takes the grant back when it ends.

The program's environment is KEYBEARER_URL, KEYBEARER_GRANT and the few names of `PASSED_ON`. No provider token,
database password or key of this installation is in it; what else the shell holds stays out unless `--env` names it.

On one machine the command proves who it acts for by being able to read the installation's own settings: it opens the
database itself. Whoever can do that owns the installation already. The ledger says that the grant came from here.
"""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from keybearer.kit.errors import ConfigurationError, KeybearerError

if TYPE_CHECKING:
    from keybearer.bootstrap.services import Services
    from keybearer.grants.model import Wish
    from keybearer.identity.model import User
    from keybearer.kit.principal import Principal
    from keybearer.kit.settings import Settings

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ")
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after `--`.")],
    providers: Annotated[list[str] | None, typer.Option("--providers", help="May be repeated; or a,b.")] = None,
    connections: Annotated[list[str] | None, typer.Option("--connection", help="An id, for a second account.")] = None,
    agent: Annotated[str | None, typer.Option(help="What the activity calls it; else the program's name.")] = None,
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="Narrows the grant; may be repeated.")] = None,
    ttl: Annotated[int, typer.Option(help="Seconds until the grant ends even if the program still runs.")] = 8 * 3600,
    reason: Annotated[str | None, typer.Option(help="Why; shown in the activity.")] = None,
    person: Annotated[str | None, typer.Option(help="Whose connections, by email, where several signed in.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", help="Pass this variable on too; may be repeated.")] = None,
    data: Annotated[Path, typer.Option(help="The folder of `keybearer up`; settings in the environment win.")] = Path(
        ".keybearer"
    ),
) -> None:
    """Run a program with nothing but a grant in its environment.

    keybearer run --providers spotify -- python bot.py
    """
    from keybearer.cli import failures
    from keybearer.grants.model import Wish
    from keybearer.kit import logs

    # Of its own the command says only what a person must know: the screen belongs to the program.
    logs.configure(level="error")
    with failures.explained():
        settings = _settings(data, os.environ)
        wish = Wish(
            agent=agent or Path(command[0]).name,
            providers=_words(providers),
            connections=_ids(connections),
            scopes=scopes or None,
            ttl_seconds=ttl,
            reason=reason,
        )
        principal, grant_id, grant = asyncio.run(_give(settings, wish, person))
    try:
        code = _run(command, child_environment(os.environ, settings.public_url, grant, env or ()))
    finally:
        _take_back(settings, principal, grant_id)
    raise typer.Exit(code)


def child_environment(environment: Mapping[str, str], url: str, grant: str, also: Sequence[str] = ()) -> dict[str, str]:
    """All that the program gets. ConfigurationError for a variable that would hand it this installation's settings."""
    for name in also:
        if name.startswith("KEYBEARER_"):
            raise ConfigurationError(f"--env {name}: settings of Keybearer are never given to a program.")
    passed = {name: environment[name] for name in (*PASSED_ON, *also) if name in environment}
    return {**passed, "KEYBEARER_URL": url, "KEYBEARER_GRANT": grant}


def _settings(data: Path, environment: Mapping[str, str]) -> "Settings":
    from keybearer.kit import settings

    file = data / "env"
    if f"{settings.PREFIX}DATABASE_URL" in environment:
        return settings.read(environment)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read ({error.strerror}). Start `keybearer up` first, name its folder with --data, or "
            "set the settings of the installation in the environment."
        ) from error
    stored = dict(_assignment(line) for line in lines if "=" in line)
    return settings.read({**stored, **environment})


def _assignment(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, "".join(shlex.split(value))


def _words(values: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(word for value in values or () for word in value.replace(",", " ").split())


def _ids(values: Sequence[str] | None) -> tuple[UUID, ...]:
    try:
        return tuple(UUID(value) for value in values or ())
    except ValueError as error:
        raise ConfigurationError("--connection takes ids as the page Connections shows them.") from error


async def _give(settings: "Settings", wish: "Wish", email: str | None) -> "tuple[Principal, UUID, str]":
    from keybearer.bootstrap.services import open_services

    async with open_services(settings, background=False) as services:
        principal = _principal(await _person(services, settings, email), services.tenancy.default.name)
        grant, _, token = await services.grants.create(principal, wish, via="keybearer run")
    return principal, grant.id, token


def _take_back(settings: "Settings", principal: "Principal", grant_id: UUID) -> None:
    """A program's end must not be hidden by a failure here, so that is said and nothing more."""
    from keybearer.bootstrap.services import open_services

    async def revoke() -> None:
        async with open_services(settings, background=False) as services:
            await services.grants.revoke(principal, grant_id)

    try:
        asyncio.run(revoke())
    except (KeybearerError, ConfigurationError) as error:
        if getattr(error, "code", None) != "grant_not_found":
            typer.echo(f"keybearer: the grant could not be revoked and ends by itself. {error}", err=True)


async def _person(services: "Services", settings: "Settings", email: str | None) -> "User":
    tenant = services.tenancy.default.id
    async with services.db.transaction(tenant) as tx:
        if email is not None:
            found = await services.identities.find_by_email(tx, tenant, email)
        else:
            found = await services.identities.people(tx, tenant, 2)
    if not found:
        advice = "Sign in" if email is None else "Check the address, or sign in with it"
        raise ConfigurationError(f"Nobody of that name has signed in yet. {advice} at {settings.public_url} first.")
    if len(found) > 1:
        raise ConfigurationError("Several people have signed in. Say whose connections: --person name@example.com")
    if found[0].disabled:
        raise ConfigurationError("This person is disabled, so no program may act for them.")
    return found[0]


def _principal(person: "User", tenant_name: str) -> "Principal":
    from keybearer.kit.principal import Principal

    now = datetime.now(UTC)
    return Principal(
        tenant_id=person.tenant_id,
        user_id=person.id,
        session_id=UUID(int=0),
        email=person.email,
        name=person.name,
        avatar_url=person.avatar_url,
        role=person.role,
        tenant_name=tenant_name,
        expires_at=now,
        authenticated_at=now,
    )


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The program's exit code, as a shell would say it."""
    try:
        with _signals_held() as held:
            process = subprocess.Popen(list(command), env=dict(environment))
            held.pass_on_to(process)
            code = process.wait()
    except FileNotFoundError:
        typer.echo(f"keybearer: there is no program {command[0]!r}.", err=True)
        return _NOT_FOUND
    except OSError as error:
        typer.echo(f"keybearer: {command[0]!r} cannot be started ({error.strerror}).", err=True)
        return _NOT_EXECUTABLE
    return code if code >= 0 else _BY_SIGNAL - code


class _Signals:
    """Those that arrive before the program runs are kept for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def pass_on_to(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def arrived(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


@contextmanager
def _signals_held() -> Iterator[_Signals]:
    """Until the program ends, signals are its own: we must live to take the grant back."""
    held = _Signals()
    handlers = {number: signal.signal(number, held.arrived) for number in _FORWARDED}
    for number in (signal.SIGINT, signal.SIGQUIT):
        # A terminal sends these to the program itself; passing them on would make two of one.
        handlers[number] = signal.signal(number, _nothing if _in_foreground() else held.arrived)
    try:
        yield held
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler and not SIG_IGN, which the program would inherit."""


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
