"""Files that must survive a loss of power."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """A name is on the disk only when its folder is. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
