"""Refusals of Keybearer itself. What a provider answers, good or bad, is left as it is.

KeybearerError
├── NotConfigured            no address or grant was given to this program
├── GrantEnded               expired, revoked, or never was: ask the person for a new grant
├── NotAllowed               the grant or the installation's policy does not cover this call
├── ApprovalNeeded           a person has to approve this call first
├── NeedsReconnect           the person has to reconnect the account; `reconnect_url` is where
├── OutcomeUnknown           the provider may have carried the call out: check before repeating it
├── TemporarilyUnavailable   nothing was done; try again after `retry_after` seconds
└── AgentUnavailable         no worker of an agent came into the room: see `keybearer_agent.dispatch`
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import httpx2

HEADER = "Keybearer-Error"


class KeybearerError(Exception):
    """`code` is stable, `detail` is a sentence for people, `problem` the whole body (RFC 9457)."""

    def __init__(
        self, code: str, detail: str, *, status: int | None = None, problem: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{detail} ({code})")
        self.code = code
        self.detail = detail
        self.status = status
        self.problem = dict(problem or {})

    @property
    def request_id(self) -> str | None:
        """Quote it when you ask whoever runs Keybearer."""
        return self.problem.get("request_id")


class NotConfigured(KeybearerError):
    pass


class GrantEnded(KeybearerError):
    pass


class NotAllowed(KeybearerError):
    """`problem["why"]` is `connection`, `policy` or `scope`."""


class ApprovalNeeded(KeybearerError):
    pass


class NeedsReconnect(KeybearerError):
    reconnect_url: str = ""

    @property
    def provider(self) -> str | None:
        return self.problem.get("provider")


class OutcomeUnknown(KeybearerError):
    pass


class TemporarilyUnavailable(KeybearerError):
    retry_after: float | None = None


class AgentUnavailable(KeybearerError):
    pass


_BY_CODE: dict[str, type[KeybearerError]] = {
    "approval_needed": ApprovalNeeded,
    "connection_revoked": NeedsReconnect,
    "needs_reconnect": NeedsReconnect,
    "provider_connection_lost": OutcomeUnknown,
    "provider_timeout": OutcomeUnknown,
}
_BY_STATUS: dict[int, type[KeybearerError]] = {
    401: GrantEnded,
    403: NotAllowed,
    429: TemporarilyUnavailable,
    503: TemporarilyUnavailable,
}


def is_refusal(response: httpx2.Response) -> bool:
    return HEADER in response.headers


def of(response: httpx2.Response) -> KeybearerError:
    """The error for a refusal whose body has been read."""
    code = response.headers[HEADER]
    problem = _problem(response)
    kind = _BY_CODE.get(code) or _BY_STATUS.get(response.status_code, KeybearerError)
    detail = problem.get("detail")
    error = kind(
        code,
        detail if isinstance(detail, str) else "Keybearer refused this call.",
        status=response.status_code,
        problem=problem,
    )
    if isinstance(error, NeedsReconnect):
        error.reconnect_url = urljoin(str(response.request.url), str(problem.get("reconnect_path", "/connections")))
    if isinstance(error, TemporarilyUnavailable):
        error.retry_after = _seconds(response.headers.get("Retry-After"))
    return error


def _problem(response: httpx2.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdigit() else None
