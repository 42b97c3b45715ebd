"""Errors that a caller can act on.

KeybearerError
├── BadInput                 what was sent cannot be understood or is not allowed
│   └── TooLarge
├── NotSignedIn              no valid credential was presented
├── Forbidden                the caller is known, and may not
├── ReauthenticationNeeded   the caller is known, and has to prove it again before this
├── NotFound
├── Conflict                 the state of things does not allow it now
├── TooMany                  a limit was reached; `retry_after` says when it passes
├── UpstreamFailed           a provider answered with something unusable
└── Unavailable              a part that we need is away; trying again later helps

A class says the category and `code` says the case: codes are stable, each has a paragraph in docs/troubleshooting.md,
and only `keybearer.http.problems` turns categories into HTTP statuses. The sentence is for people and says what to do
next; it never carries a secret or a foreign payload.
"""

from collections.abc import Mapping
from typing import ClassVar


class KeybearerError(Exception):
    """`code`: stable identifier. `detail`: one or two full sentences. `extra`: further members of the problem body."""

    title: ClassVar[str] = "Something went wrong"

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after: int | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.extra = dict(extra or {})


class BadInput(KeybearerError):
    title = "The request is not valid"


class TooLarge(BadInput):
    title = "The request is too large"


class NotSignedIn(KeybearerError):
    title = "Not signed in"


class Forbidden(KeybearerError):
    title = "Not allowed"


class ReauthenticationNeeded(KeybearerError):
    title = "Show that it is you"


class NotFound(KeybearerError):
    title = "Not found"


class Conflict(KeybearerError):
    title = "Not possible right now"


class TooMany(KeybearerError):
    title = "Too many requests"


class UpstreamFailed(KeybearerError):
    title = "The provider answered with something unusable"


class Unavailable(KeybearerError):
    title = "Temporarily unavailable"


class ConfigurationError(Exception):
    """A setting is missing or unsafe, so the process refuses to start. Names the setting and says what to do."""


class NotReady(ConfigurationError):
    """A part that we stand on is not as it must be, and may be so later. `reason` and `advice` are full sentences."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason} {advice}")
        self.reason = reason
        self.advice = advice
