"""What `keybearer up` keeps in its data folder: keys, passwords and settings, made on first start, private to us."""

import base64
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_FIRST_KEY = "k1"


class DataFolder:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def keyring(self) -> Path:
        return self.path / "keyring"

    @property
    def signing(self) -> Path:
        return self.path / "signing"

    @property
    def providers(self) -> Path:
        return self.path / "providers"

    @property
    def environment(self) -> Path:
        return self.path / "env"

    def make_keys(self) -> None:
        """Never overwrites: what is encrypted under a lost key is lost."""
        if not (self.keyring / "primary").exists():
            self.keyring.mkdir(mode=0o700, exist_ok=True)
            write_private(self.keyring / _FIRST_KEY, base64.b64encode(os.urandom(32)).decode() + "\n")
            write_private(self.keyring / "primary", f"{_FIRST_KEY}\n")
        if not (self.signing / "primary").exists():
            self.signing.mkdir(mode=0o700, exist_ok=True)
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_private(self.signing / _FIRST_KEY, pem.decode())
            write_private(self.signing / "primary", f"{_FIRST_KEY}\n")

    def password(self, login: str) -> str:
        """The database login's password, made at first need."""
        path = self.path / "passwords" / login
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32) + "\n")
        return path.read_text(encoding="ascii").strip()

    def write_environment(self, settings: Mapping[str, str]) -> None:
        """The settings with which every other command works on the same data."""
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in sorted(settings.items())]
        write_private(self.environment, "".join(lines))


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by us alone."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
