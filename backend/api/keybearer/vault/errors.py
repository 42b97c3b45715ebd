"""Why a credential is not handed out. Each says who can put it right, and where."""

from uuid import UUID

from keybearer.kit.errors import BadInput, Conflict, Forbidden, KeybearerError, NotFound, Unavailable


def connection_not_found() -> NotFound:
    return NotFound(
        "connection_not_found",
        "There is no such connection. It may have been removed; look at the list of connections.",
    )


def needs_reconnect(connection_id: UUID, provider: str, title: str, reason: str | None) -> Conflict:
    return Conflict(
        "needs_reconnect",
        f"{title} no longer accepts what it gave Keybearer for this connection. Its owner can reconnect it on the "
        "Connections page; nothing else is needed.",
        extra={
            "connection": str(connection_id),
            "provider": provider,
            "reason": reason,
            "reconnect_path": f"/connections/{connection_id}",
        },
    )


def connection_revoked(connection_id: UUID, provider: str, title: str) -> Conflict:
    return Conflict(
        "connection_revoked",
        f"This {title} connection was disconnected by its owner, and its tokens were destroyed. Connect {title} again "
        "on the Connections page to go on.",
        extra={"connection": str(connection_id), "provider": provider},
    )


def connection_not_refreshable(connection_id: UUID, title: str) -> Conflict:
    return Conflict(
        "connection_not_refreshable",
        f"{title} gave nothing to refresh this connection with. It works until {title} refuses it; reconnect it then.",
        extra={"connection": str(connection_id)},
    )


def raw_token_off(title: str) -> Forbidden:
    return Forbidden(
        "raw_token_off",
        f"Tokens of {title} do not leave this installation. Agents call {title} through the proxy instead, with a "
        "grant.",
    )


def refresh_in_progress(retry_after: int) -> Unavailable:
    return Unavailable(
        "refresh_in_progress",
        "A new token is being fetched and took longer than a request may wait. Nothing is lost; try again shortly.",
        retry_after=retry_after,
    )


def provider_unavailable(title: str, retry_after: int) -> Unavailable:
    return Unavailable(
        "provider_unavailable",
        f"{title} did not give a new token just now. The connection is kept as it is; try again shortly.",
        retry_after=retry_after,
    )


def credential_unreadable(connection_id: UUID) -> Unavailable:
    return Unavailable(
        "credential_unreadable",
        "The stored credential cannot be decrypted here. An administrator should look at the log and at the keyring; "
        "reconnecting stores it anew.",
        extra={"connection": str(connection_id)},
    )


def fields_invalid(problem: str) -> BadInput:
    return BadInput("request_invalid", problem)


def again(error: KeybearerError) -> KeybearerError:
    """A fresh copy, because one exception raised to a thousand waiting callers collects a thousand tracebacks."""
    return type(error)(error.code, error.detail, retry_after=error.retry_after, extra=error.extra)
