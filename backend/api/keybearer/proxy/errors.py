"""Why a call is not carried out, or not to its end. Each tells the agent's author what to do."""

from collections.abc import Iterable
from uuid import UUID

from keybearer.kit.errors import (
    BadInput,
    Conflict,
    Forbidden,
    KeybearerError,
    NotFound,
    NotSignedIn,
    TooLarge,
    Unavailable,
    UpstreamFailed,
)


def grant_missing() -> NotSignedIn:
    return NotSignedIn(
        "grant_missing",
        "Send the grant that you were given as `Authorization: Bearer kbg_…`. Nothing else is accepted here.",
    )


def grant_ended() -> NotSignedIn:
    return NotSignedIn(
        "grant_ended", "This grant has expired, was revoked or never existed. Ask the person for a new one."
    )


def provider_unknown() -> NotFound:
    return NotFound("provider_unknown", "This installation knows no provider of that name. Check the address.")


def not_in_grant(title: str) -> Forbidden:
    return Forbidden(
        "not_allowed",
        f"The grant does not include this {title} connection. Ask the person for a grant that does.",
        extra={"why": "connection"},
    )


def connection_ambiguous(title: str, connections: Iterable[UUID]) -> Conflict:
    return Conflict(
        "connection_ambiguous",
        f"The grant holds several {title} connections. Name one in the header Keybearer-Connection.",
        extra={"connections": [str(each) for each in connections]},
    )


def denied(title: str) -> Forbidden:
    return Forbidden(
        "not_allowed",
        f"This installation's policy for {title} does not let agents make this call.",
        extra={"why": "policy"},
    )


def scope_missing(title: str, scopes: Iterable[str]) -> Forbidden:
    return Forbidden(
        "not_allowed",
        f"The grant is narrowed to scopes of {title} that do not cover this call. Ask for a grant with one of these.",
        extra={"why": "scope", "scopes": sorted(scopes)},
    )


def scope_unmapped(title: str) -> Forbidden:
    return Forbidden(
        "not_allowed",
        f"The grant is narrowed to scopes, and no rule says which scope of {title} this call needs. Ask for a grant "
        "that is not narrowed.",
        extra={"why": "scope"},
    )


def approval_needed(title: str) -> Forbidden:
    return Forbidden(
        "approval_needed",
        f"The policy for {title} wants a person to approve this call, and nobody has. It was not made.",
    )


def query_refused(problem: str) -> BadInput:
    return BadInput("query_refused", problem)


def header_refused(problem: str) -> BadInput:
    return BadInput("header_refused", problem)


def websocket_refused() -> BadInput:
    return BadInput("websocket_refused", "WebSockets are not proxied. Use the provider's HTTP calls.")


def body_too_large(limit: int) -> TooLarge:
    return TooLarge("body_too_large", f"The body exceeds {limit} bytes, the most that is proxied. Send it in parts.")


def body_stalled() -> BadInput:
    return BadInput("body_stalled", "The rest of the body did not arrive in time. Send the request again.")


def unreachable(title: str) -> Unavailable:
    return Unavailable(
        "provider_unavailable", f"{title} could not be reached, so nothing was sent. Try again shortly.", retry_after=5
    )


def timed_out(title: str) -> UpstreamFailed:
    return UpstreamFailed(
        "provider_timeout",
        f"{title} did not answer in time. It may have carried out the call: check before you repeat it.",
    )


def connection_lost(title: str) -> UpstreamFailed:
    return UpstreamFailed(
        "provider_connection_lost",
        f"{title} broke the connection before its answer was whole. It may have carried out the call: check before you "
        "repeat it.",
    )


def answer_invalid(title: str) -> UpstreamFailed:
    return UpstreamFailed("provider_answer_invalid", f"{title} answered with something that is not HTTP as we know it.")


def address_refused(title: str) -> Forbidden:
    return Forbidden(
        "address_refused",
        f"The address of {title} leads into a private network. Whoever runs this installation can allow it by name.",
    )


def crashed() -> KeybearerError:
    return KeybearerError(
        "internal_error",
        "An unexpected error happened and was logged. Quote the request id when you report it.",
    )


def unproven() -> Unavailable:
    return Unavailable(
        "grant_unproven", "It cannot be checked whether this grant still holds. Try again shortly.", retry_after=5
    )
