"""What comes with a request of a local account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Second:
    """The second factor that came with a password: one of them, or none."""

    totp: str | None = field(default=None, repr=False)
    recovery_code: str | None = field(default=None, repr=False)
    passkey: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        return self.totp is None and self.recovery_code is None and self.passkey is None


@dataclass(frozen=True, slots=True)
class Newcomer:
    email: str
    password: str = field(repr=False)
    name: str
    invitation: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """`new_password` replaces one that is older than the installation allows."""

    email: str
    password: str = field(repr=False)
    second: Second
    new_password: str | None = field(default=None, repr=False)


def words_of(email: str, name: str) -> list[str]:
    """What somebody who knows the person would try first as their password."""
    local, _, domain = email.partition("@")
    return [email, local, domain, domain.partition(".")[0], name, *name.split(), "keybearer"]
