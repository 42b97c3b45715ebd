"""`keybearer up`: the whole product on one machine, from a data folder."""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import typer

from keybearer.cli import dev as development
from keybearer.cli import postgres, sandbox, serving
from keybearer.cli.folder import DataFolder
from keybearer.kit import logs, settings
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import cluster, runner
from keybearer.providers import catalogue

_DATABASE = "keybearer"
_API_BEHIND_VITE = 3
_PORT = 8080
_BUILT_UI = Path(__file__).parents[4] / "frontend-proxy" / "ui" / "dist"


def up(*, port: int, data: Path, dev: bool) -> None:
    folder = DataFolder(data)
    folder.make_keys()
    public, internal = _listen(port)
    with ExitStack() as stack:
        server = stack.enter_context(postgres.running(folder.path, progress=_say))
        environment = {**_environment(folder, server, port), **_given()}
        asyncio.run(_prepare(folder, server))
        asyncio.run(_migrate(environment["KEYBEARER_MIGRATION_DATABASE_URL"]))
        started = _start_sandbox(stack, folder, port, environment["KEYBEARER_PUBLIC_URL"])
        if started is not None and "KEYBEARER_SMTP_URL" not in environment:
            environment |= _mail(started)
        folder.write_environment(environment)
        if dev:
            public.close()
            internal.close()
            development.serve(environment, port, port + _API_BEHIND_VITE)
            return
        found = settings.read(environment)
        logs.configure(level=found.log_level, style=found.log_format)
        welcome = partial(_welcome, found, started, data)
        serving.run(serving.serve(found, public, internal, ready=welcome, sound=server.is_running))
        if not server.is_running():
            raise postgres.PostgresError(
                f"The database ended by itself; {server.log} says why. Nothing acknowledged is lost. Start again."
            )
    _say("Stopped.")


@contextmanager
def database_of(data: Path) -> Iterator[Mapping[str, str]]:
    """The settings of a data folder while its database runs, for a command that needs no server."""
    if not (data / "keyring" / "primary").exists():
        raise ConfigurationError(f"There is no keyring in {data}. Copy keyring, signing and erasures there first.")
    folder = DataFolder(data)
    folder.make_keys()
    with postgres.running(folder.path, progress=_say) as server:
        environment = _environment(folder, server, _PORT)
        asyncio.run(_prepare(folder, server))
        yield environment


def _listen(port: int) -> tuple[socket.socket, socket.socket]:
    """Both ports, taken before anything slow happens."""
    try:
        return serving.listening_socket("127.0.0.1", port), serving.listening_socket("127.0.0.1", port + 1)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} or {port + 1} is in use ({error.strerror}). Choose another: make run PORT={port + 10}"
        ) from error


async def _prepare(folder: DataFolder, server: postgres.Server) -> None:
    await cluster.prepare(
        server.superuser_dsn(),
        database=_DATABASE,
        app_password=folder.password(cluster.APP_LOGIN),
        migration_password=folder.password(cluster.MIGRATION_LOGIN),
    )


async def _migrate(migration_url: str) -> None:
    outcome = await runner.migrate(migration_url)
    if outcome.pending:
        _say(f"The database is at schema {outcome.after}.")


def _start_sandbox(stack: ExitStack, folder: DataFolder, port: int, public_url: str) -> sandbox.Running | None:
    """None where the sandbox is not installed; then only providers with credentials of their own work."""
    if not sandbox.is_installed():
        return None
    sandbox.write_provider_files(folder.providers, f"http://127.0.0.1:{port + 2}")
    callbacks = [public_url + provider.callback for provider in catalogue.load(folder.providers).values()]
    return stack.enter_context(
        sandbox.running(
            port=port + 2,
            state=folder.path / "sandbox.json",
            redirect_uris=sorted(set(callbacks)),
            log=folder.path / "sandbox.log",
        )
    )


def _environment(folder: DataFolder, server: postgres.Server, port: int) -> dict[str, str]:
    passwords = {login: folder.password(login) for login in (cluster.APP_LOGIN, cluster.MIGRATION_LOGIN)}
    erasures = folder.path / "erasures"
    for made in (folder.providers, erasures):
        made.mkdir(mode=0o700, exist_ok=True)
    values = {
        "PUBLIC_URL": f"http://localhost:{port}",
        "DATABASE_URL": server.dsn(cluster.APP_LOGIN, passwords[cluster.APP_LOGIN], _DATABASE),
        "MIGRATION_DATABASE_URL": server.dsn(cluster.MIGRATION_LOGIN, passwords[cluster.MIGRATION_LOGIN], _DATABASE),
        "KEYRING_DIR": str(folder.keyring),
        "SIGNING_KEYRING_DIR": str(folder.signing),
        "ERASURE_LOG_DIR": str(erasures),
        "PROVIDERS_DIR": str(folder.providers),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "INTERNAL_HOST": "127.0.0.1",
        "INTERNAL_PORT": str(port + 1),
    }
    if (_BUILT_UI / "index.html").exists():
        values["UI_DIR"] = str(_BUILT_UI)
    return {f"{settings.PREFIX}{name}": value for name, value in values.items()}


def _mail(started: sandbox.Running) -> dict[str, str]:
    """Caught by the sandbox, where the person has no server."""
    return {"KEYBEARER_SMTP_URL": started.smtp_url, "KEYBEARER_MAIL_FROM": "keybearer@localhost"}


def _given(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the person set wins over what we choose."""
    return {name: value for name, value in environment.items() if name.startswith(settings.PREFIX)}


def _welcome(found: settings.Settings, started: sandbox.Running | None, data: Path) -> None:
    _say(f"Keybearer is ready: {found.public_url}")
    if started is not None:
        _say(f"Sandbox providers stand for Google, Spotify and GitHub: {started.url}")
        if found.smtp_url == started.smtp_url:
            _say(f"Mail is caught there: {started.url}/mail")
    _say(f"Your data is in {data}. Ctrl-C stops everything.")


def _say(line: str) -> None:
    typer.echo(line, err=False)
