"""`keybearer init`: the secrets that compose.yaml mounts.

What exists is kept: a key that is written over is data lost, a password that is written over locks the database.
"""

import os
from pathlib import Path

import typer

from keybearer.cli import material
from keybearer.cli.folder import DataFolder, write_private
from keybearer.migrations import cluster

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


def _files(data: DataFolder) -> dict[Path, dict[str, str]]:
    app, migrator = data.password(cluster.APP_LOGIN), data.password(cluster.MIGRATION_LOGIN)
    valkey, livekit = data.password("valkey"), data.password("livekit")
    return {
        data.path / "backend.env": {
            "KEYBEARER_DATABASE_URL": f"postgresql://{cluster.APP_LOGIN}:{app}@postgres/{material.DATABASE}",
            "KEYBEARER_VALKEY_URL": f"valkey://:{valkey}@valkey:6379",
            "KEYBEARER_LIVEKIT_API_KEY": material.LIVEKIT_KEY,
            "KEYBEARER_LIVEKIT_API_SECRET": livekit,
        },
        data.path / "migrate.env": {
            "KEYBEARER_MIGRATION_DATABASE_URL": f"postgresql://{cluster.MIGRATION_LOGIN}:{migrator}@postgres/{material.DATABASE}"
        },
        data.path / "postgres.env": {"POSTGRES_PASSWORD": data.password("postgres")},
        data.path / "valkey.env": {"VALKEY_PASSWORD": valkey},
        data.path / "livekit.env": {"LIVEKIT_KEYS": material.livekit_keys(livekit)},
    }


def _settings(public_url: str) -> dict[str, str]:
    user = f"{os.geteuid()}:{os.getegid()}" if os.geteuid() else f"{_IMAGE_USER}:{_IMAGE_USER}"
    return {"PUBLIC_URL": public_url, "RUN_AS": user}


def _hand_over(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _IMAGE_USER, _IMAGE_USER, follow_symlinks=False)
