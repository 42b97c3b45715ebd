"""Key-encryption keys from a mounted directory: a file per key id holding 32 bytes in base64, and a file `primary`."""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from keybearer.keys.envelope import KEY_BYTES
from keybearer.keys.errors import UnknownKey
from keybearer.kit.errors import ConfigurationError

_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LEAST_DISTINCT_BYTES = 12  # 32 random bytes have about 30 distinct values; a default or typed key has few


@dataclass(frozen=True, slots=True)
class Keyring:
    """Several keys live at once: all of them decrypt, the primary alone encrypts."""

    keys: dict[str, bytes] = field(repr=False)
    primary: str

    def key(self, key_id: str) -> bytes:
        try:
            return self.keys[key_id]
        except KeyError:
            raise UnknownKey(f"the keyring holds no key {key_id!r}") from None

    @property
    def digests(self) -> dict[str, str]:
        """sha256 of each key's 32 bytes, which tells nothing of them."""
        return {key_id: hashlib.sha256(key).hexdigest() for key_id, key in sorted(self.keys.items())}

    @property
    def revision(self) -> str:
        """What a process reports, so that a rotation can wait for all of them (rule R9)."""
        return revision(self.digests, self.primary)

    def extends(self, other: "Keyring") -> bool:
        """Whether all that `other` opens can be opened with this one too."""
        return other.keys.items() <= self.keys.items()


def revision(digests: dict[str, str], primary: str) -> str:
    """sha256 over the sorted (id, sha256 of the key, primary) of a keyring."""
    rows = [[key_id, digest, key_id == primary] for key_id, digest in sorted(digests.items())]
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def load(folder: Path) -> Keyring:
    """Raises ConfigurationError for a keyring that is missing, incomplete, or holds a short or default key (D7)."""
    primary, files = read_folder(folder, "KEYRING_DIR")
    keys = {path.name: _key(path) for path in files}
    if primary not in keys:
        raise ConfigurationError(f"KEYBEARER_KEYRING_DIR: `primary` names {primary!r}, but there is no such file.")
    return Keyring(keys=keys, primary=primary)


def read_folder(folder: Path, setting: str) -> tuple[str, list[Path]]:
    """The primary's id, and the files of the others; dot files are a mount's own."""
    try:
        primary = (folder / "primary").read_text(encoding="ascii").strip()
        files = sorted(path for path in folder.iterdir() if path.name != "primary" and not path.name.startswith("."))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"KEYBEARER_{setting}: {folder} cannot be read ({type(error).__name__}). It holds a file per key id and a "
            "file `primary` that names the active one."
        ) from error
    for path in files:
        if not _KEY_ID.fullmatch(path.name):
            raise ConfigurationError(f"KEYBEARER_{setting}: {path.name!r} is not a key id (letters, digits, . _ -).")
    return primary, files


def _key(path: Path) -> bytes:
    try:
        key = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise ConfigurationError(f"KEYBEARER_KEYRING_DIR: key {path.name} is not readable base64.") from error
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"KEYBEARER_KEYRING_DIR: key {path.name} has {len(key)} bytes instead of {KEY_BYTES}. "
            "Make one with `openssl rand -base64 32`."
        )
    if len(set(key)) < _LEAST_DISTINCT_BYTES:
        raise ConfigurationError(
            f"KEYBEARER_KEYRING_DIR: key {path.name} is not random. Make one with `openssl rand -base64 32`."
        )
    return key
