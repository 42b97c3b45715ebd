"""What is kept of a password."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """`previous` has the newest first. `void`: it lets nobody in, right or not, until it is replaced."""

    hash: str = field(repr=False)
    previous: tuple[str, ...] = field(repr=False)
    changed_at: datetime
    void: bool = False
