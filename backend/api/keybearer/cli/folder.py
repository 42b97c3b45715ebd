"""What `keybearer up` keeps in its data folder: keys, passwords and settings, made on first start, private to us."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from keybearer.cli import material


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
        for folder, make in ((self.keyring, material.keyring), (self.signing, material.signing_keyring)):
            if not (folder / "primary").exists():
                folder.mkdir(mode=0o700, exist_ok=True)
                for name, content in make().items():
                    write_private(folder / name, content)

    def password(self, login: str) -> str:
        """The database login's password, made at first need."""
        path = self.path / "passwords" / login
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            write_private(path, material.password() + "\n")
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
