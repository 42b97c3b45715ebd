"""Why a grant is not given. Each says what to ask for instead."""

from collections.abc import Sequence

from keybearer.kit.errors import BadInput, Conflict, NotFound
from keybearer.vault.model import Connection


def invalid(problem: str) -> BadInput:
    return BadInput("request_invalid", f"A part of the request is not valid. {problem}")


def connection_not_found() -> NotFound:
    return NotFound(
        "connection_not_found", "One of these connections is not yours or was removed. List your connections."
    )


def provider_not_connected(provider: str) -> NotFound:
    return NotFound(
        "connection_not_found",
        "You have no connection to one of these providers. Connect it on the Connections page first.",
        extra={"provider": provider[:64]},
    )


def connection_ambiguous(provider: str, fitting: Sequence[Connection]) -> Conflict:
    return Conflict(
        "connection_ambiguous",
        "You have connected several accounts of this provider. Name one by its id in `connections`.",
        extra={
            "provider": provider,
            "connections": [
                {"id": str(one.id), "provider": one.provider, "account": one.account_name} for one in fitting
            ],
        },
    )


def needs_reconnect(connection: Connection) -> Conflict:
    return Conflict(
        "needs_reconnect",
        "The provider no longer accepts this connection. Reconnect it on the Connections page, then try again.",
        extra={"connection": str(connection.id), "provider": connection.provider, "reason": connection.state_reason},
    )


def scope_not_granted(missing: Sequence[str]) -> BadInput:
    return BadInput(
        "scope_not_granted",
        "A grant can hold only scopes that its connections have. Leave these out, or connect again with them.",
        extra={"scopes": list(missing[:20])},
    )


def grant_not_found() -> NotFound:
    return NotFound("grant_not_found", "There is no such grant. It may have ended already; look at the list of grants.")
