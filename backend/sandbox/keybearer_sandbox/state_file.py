"""Keeps what must outlive a restart in one JSON file that only its owner may read."""

import json
import os
from pathlib import Path
from typing import Any


class StateFileBroken(Exception):
    """The file is there but is not what a sandbox wrote."""


class StateFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any] | None:
        try:
            saved = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StateFileBroken(f"{self._path} cannot be read as sandbox state: {error}") from error
        if not isinstance(saved, dict) or saved.keys() != {"keys", "tokens", "consents"}:
            raise StateFileBroken(f"{self._path} is not the state of a sandbox; move it away to start anew.")
        return saved

    def write(self, state: dict[str, Any]) -> None:
        """Atomic: whoever reads sees the old file or the new one, also after a crash in between."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)
