"""Why an archive cannot be made, read or used. One sentence or two, with what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BackupError(Exception):
    """Says what is wrong and what to do; never quotes what is in an archive."""


@contextmanager
def file_errors(path: Path, doing: str) -> Iterator[None]:
    """Not left to others: the database's door takes an OSError for the database being away."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise BackupError(
                f"There is no room left where {path} is. Free some, or give the volume more; what was there is kept."
            ) from error
        raise BackupError(
            f"{path} cannot be {doing} ({error.strerror or type(error).__name__}). Check that it is there, and who may "
            "do that with it."
        ) from error
