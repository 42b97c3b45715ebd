"""Who was erased, in files beside the keyring's backup and outside of the database: a restore replays them (rule R2).

A line of JSON is on the disk before its erasure commits, so none is missing. One whose commit then failed is there too:
somebody who asked to be forgotten. Replaying a line twice does nothing more. Each process writes a file of its own,
because appending to a shared one is not safe on every file system.
"""

import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from keybearer.kit.errors import ConfigurationError
from keybearer.kit.files import sync_folder

_SUFFIX = ".jsonl"


@dataclass(frozen=True, slots=True)
class Erasure:
    """`era` and `xid` are the place in the ledger where the erasure is recorded."""

    tenant_id: UUID
    user_id: UUID
    at: datetime
    era: int
    xid: int


class ErasureLog:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Path | None = None

    def check(self) -> None:
        """Raises ConfigurationError where it could not be written to when somebody leaves (D7)."""
        if not (self._folder.is_dir() and os.access(self._folder, os.R_OK | os.W_OK | os.X_OK)):
            raise ConfigurationError(
                f"KEYBEARER_ERASURE_LOG_DIR: {self._folder} is no folder that can be written to. Make it, or mount the "
                "volume that it is on; it belongs beside the keyring's backup."
            )

    def append(self, erasure: Erasure) -> None:
        """On the disk when it returns. Raises OSError."""
        line = json.dumps({
            "tenant": str(erasure.tenant_id),
            "user": str(erasure.user_id),
            "at": erasure.at.isoformat(),
            "era": erasure.era,
            "xid": str(erasure.xid),
        }).encode() + b"\n"  # fmt: skip
        fresh = self._file is None
        path = self._file or self._folder / f"erasures-{secrets.token_hex(8)}{_SUFFIX}"
        # After a failure the next line goes into a new file: this one may end in half a line.
        self._file = None
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(0, "only a part was written")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            sync_folder(self._folder)
        self._file = path


def read(folder: Path) -> list[Erasure]:
    """All of them, each once. Raises ConfigurationError rather than leaving one out."""
    try:
        files = {path: path.read_text(encoding="ascii") for path in sorted(folder.glob(f"*{_SUFFIX}"))}
        folder.stat()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"KEYBEARER_ERASURE_LOG_DIR: {folder} cannot be read ({type(error).__name__}). Bring back its backup."
        ) from error
    found: dict[tuple[UUID, UUID], Erasure] = {}
    for path, content in files.items():
        whole, _, _ = content.rpartition("\n")  # half a line at the end is of an erasure that did not happen
        for number, line in enumerate(whole.splitlines(), start=1):
            erasure = _erasure(path, number, line)
            found.setdefault((erasure.tenant_id, erasure.user_id), erasure)
    return sorted(found.values(), key=lambda each: each.at)


def _erasure(path: Path, number: int, line: str) -> Erasure:
    try:
        document = json.loads(line)
        return Erasure(
            tenant_id=UUID(document["tenant"]),
            user_id=UUID(document["user"]),
            at=datetime.fromisoformat(document["at"]),
            era=int(document["era"]),
            xid=int(document["xid"]),
        )
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f"KEYBEARER_ERASURE_LOG_DIR: line {number} of {path} is damaged, so nobody can tell who was erased. Bring "
            "that file back from its backup."
        ) from None
