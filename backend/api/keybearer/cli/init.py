"""`keybearer init`: the secrets that compose.yaml mounts, and the database roles they belong to.

What exists is kept: a key that is written over is data lost, a password that is written over locks the database.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import typer

from keybearer.cli.folder import DataFolder, write_private
from keybearer.kit import settings
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import cluster

_DATABASE = "keybearer"
# The images' own user; files of root's would be unreadable to it.
_IMAGE_USER = 10001


def write_files(folder: Path, environment: Path, *, public_url: str) -> None:
    """Keys, passwords and a file for each service into `folder`; what is no secret into `environment`."""
    data = DataFolder(folder)
    files = _files(data) | {environment.absolute(): _settings(public_url)}
    new = [path for path in (data.keyring / "primary", data.signing / "primary", *files) if not path.exists()]
    data.make_keys()
    for name in ("providers", "tls"):
        (data.path / name).mkdir(mode=0o700, exist_ok=True)
    for path in new:
        if path in files:
            write_private(path, "".join(f"{name}={value}\n" for name, value in files[path].items()))
    if os.geteuid() == 0:
        _hand_over(data.path)
    for path in (data.keyring / "primary", data.signing / "primary", *files):
        typer.echo(f"{'made' if path in new else 'kept'} {path}")


def prepare_database(environment: Mapping[str, str] = os.environ) -> None:
    """Roles, the logins' passwords and the database, as the superuser `postgres`; repeats safely."""
    password = environment.get("POSTGRES_PASSWORD")
    if not password:
        raise ConfigurationError("POSTGRES_PASSWORD is not set. It is the password of the superuser `postgres`.")
    app = urlsplit(environment.get(f"{settings.PREFIX}DATABASE_URL", ""))
    migration = urlsplit(settings.migration_database_url(environment))
    if app.username != cluster.APP_LOGIN or migration.username != cluster.MIGRATION_LOGIN:
        raise ConfigurationError(
            f"KEYBEARER_DATABASE_URL must name the login {cluster.APP_LOGIN}, and KEYBEARER_MIGRATION_DATABASE_URL "
            f"{cluster.MIGRATION_LOGIN}, so that their passwords can be set."
        )
    server = migration.netloc.rpartition("@")[2]
    superuser = urlunsplit(migration._replace(netloc=f"postgres:{password}@{server}", path="/postgres"))
    prepared = cluster.prepare(
        superuser,
        database=migration.path.removeprefix("/"),
        app_password=app.password or "",
        migration_password=migration.password or "",
    )
    try:
        asyncio.run(prepared)
    except (OSError, asyncpg.PostgresError) as error:
        raise ConfigurationError(
            f"The database does not let `postgres` in ({type(error).__name__}). Its password is the one that it was "
            "first started with; bring back that POSTGRES_PASSWORD, or set it in the database."
        ) from error
    typer.echo("The roles, their passwords and the database are there.")


def _files(data: DataFolder) -> dict[Path, dict[str, str]]:
    app, migrator = data.password(cluster.APP_LOGIN), data.password(cluster.MIGRATION_LOGIN)
    valkey, livekit = data.password("valkey"), data.password("livekit")
    return {
        data.path / "backend.env": {
            "KEYBEARER_DATABASE_URL": f"postgresql://{cluster.APP_LOGIN}:{app}@postgres/{_DATABASE}",
            "KEYBEARER_VALKEY_URL": f"valkey://:{valkey}@valkey:6379",
            "KEYBEARER_LIVEKIT_API_KEY": "keybearer",
            "KEYBEARER_LIVEKIT_API_SECRET": livekit,
        },
        data.path / "migrate.env": {
            "KEYBEARER_MIGRATION_DATABASE_URL": f"postgresql://{cluster.MIGRATION_LOGIN}:{migrator}@postgres/{_DATABASE}"
        },
        data.path / "postgres.env": {"POSTGRES_PASSWORD": data.password("postgres")},
        data.path / "valkey.env": {"VALKEY_PASSWORD": valkey},
        data.path / "livekit.env": {"LIVEKIT_KEYS": f"keybearer: {livekit}"},
    }


def _settings(public_url: str) -> dict[str, str]:
    user = f"{os.geteuid()}:{os.getegid()}" if os.geteuid() else f"{_IMAGE_USER}:{_IMAGE_USER}"
    return {"PUBLIC_URL": public_url, "RUN_AS": user}


def _hand_over(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _IMAGE_USER, _IMAGE_USER, follow_symlinks=False)
