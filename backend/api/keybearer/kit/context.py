"""What is known of the request being served, so that ledger and logs need not be handed it through every call."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestContext:
    request_id: str
    address: str | None


NONE = RequestContext(request_id="", address=None)
request: ContextVar[RequestContext] = ContextVar("keybearer_request", default=NONE)
