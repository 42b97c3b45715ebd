"""Changes a folder of keys: one file a key, and `primary`, which is exchanged last and at once."""

import os
import re
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from keybearer.kit.errors import ConfigurationError
from keybearer.kit.files import sync_folder

_NUMBERED = re.compile(r"k(\d+)(\.pub)?")
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def next_id(folder: Path) -> str:
    """k2 after k1; numbers of keys that are gone are never given again while a trace of them is left."""
    numbers = [int(found[1]) for path in folder.iterdir() if (found := _NUMBERED.fullmatch(path.name.lstrip(".")))]
    return f"k{max(numbers, default=0) + 1}"


def add(folder: Path, key_id: str, content: str) -> None:
    """Raises ConfigurationError for an id that is taken or no id, and where the folder cannot be written."""
    if not _KEY_ID.fullmatch(key_id) or key_id == "primary":
        raise ConfigurationError(f"{key_id!r} is not a key id. Use letters, digits, _ and -.")
    if any((folder / name).exists() for name in (key_id, f".{key_id}", f"{key_id}.pub")):
        raise ConfigurationError(f"{folder} has a key {key_id} already. Take another id, or leave it out.")
    _write(folder, key_id, content)


def check(folder: Path, key_id: str) -> None:
    """Raises ConfigurationError where there is no such key, or nothing can be written."""
    _check_writable(folder)
    if not (folder / key_id).is_file():
        raise ConfigurationError(f"{folder} has no key {key_id}. `keybearer keys list` shows which there are.")


def promote(folder: Path, key_id: str) -> None:
    _write(folder, "primary", f"{key_id}\n")


def set_aside(folder: Path, key_id: str) -> Path:
    """Behind a dot, where no process reads it: a backup made under it needs it for as long as that is kept."""
    _check_writable(folder)
    kept = folder / f".{key_id}"
    (folder / key_id).rename(kept)
    sync_folder(folder)
    return kept


def keep_public(folder: Path, key_id: str) -> None:
    """What the key signed must verify for ever, so its public half stays."""
    private = load_pem_private_key((folder / key_id).read_bytes(), password=None)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(folder, f"{key_id}.pub", public.decode())
    (folder / key_id).unlink()
    sync_folder(folder)


def is_writable(folder: Path) -> bool:
    """Not where a Secret is mounted: there the operator writes."""
    return os.access(folder, os.W_OK) and not (folder / "..data").is_symlink()


def _write(folder: Path, name: str, content: str) -> None:
    _check_writable(folder)
    new = folder / f".{name}.new"
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    owner = folder.stat()
    if os.geteuid() == 0:  # the server may run as whom the folder belongs to
        os.chown(new, owner.st_uid, owner.st_gid)
    new.rename(folder / name)
    sync_folder(folder)


def _check_writable(folder: Path) -> None:
    if not is_writable(folder):
        raise ConfigurationError(
            f"{folder} cannot be written. On a cluster the operator rotates keys; here, run this as its owner."
        )
