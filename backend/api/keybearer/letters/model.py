"""What a link in a mail is for, and how long it lasts."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from uuid import UUID

Kind = Literal["confirm", "reset", "not_me"]

LIFETIMES: dict[Kind, timedelta] = {
    "confirm": timedelta(hours=24),
    "reset": timedelta(minutes=30),
    "not_me": timedelta(days=7),
}
# A newer one ends an older one. Notices tell of different things, so their links stay beside each other.
REPLACED: frozenset[Kind] = frozenset({"confirm", "reset"})
CODE_TRIES = 5
CODE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Code:
    """Six digits for whoever cannot open the link where they began, and their hash."""

    text: str = field(repr=False)
    hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Errand:
    """Something asked for that waits to be done; `sealed` says what."""

    tenant_id: UUID
    id: UUID
    kind: str
    sealed: bytes = field(repr=False)
