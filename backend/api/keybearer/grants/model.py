"""A grant, and the rules for asking for one that need no database."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from keybearer.grants import errors
from keybearer.vault.model import Connection

LONGEST_AGENT = 64
LONGEST_REASON = 500
LEAST_SECONDS = 60
MOST_SECONDS = 30 * 24 * 3600
DEFAULT_SECONDS = 3600
MOST_CONNECTIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`scopes` None does not narrow what the connections may do; a tuple does, even an empty one."""

    id: UUID
    tenant_id: UUID
    user_id: UUID
    agent: str
    connections: tuple[UUID, ...]
    scopes: tuple[str, ...] | None
    reason: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asks for. Connections are named by id, or by provider where there is one account alone."""

    agent: str
    connections: Sequence[UUID] = ()
    providers: Sequence[str] = ()
    scopes: Sequence[str] | None = None
    ttl_seconds: int = DEFAULT_SECONDS
    reason: str | None = None


def check(wish: Wish) -> None:
    """BadInput `request_invalid` says which part is not acceptable."""
    if not _is_line(wish.agent, LONGEST_AGENT):
        raise errors.invalid(f"`agent` must be 1 to {LONGEST_AGENT} visible characters.")
    if wish.reason is not None and not _is_line(wish.reason, LONGEST_REASON):
        raise errors.invalid(f"`reason` must be one line of at most {LONGEST_REASON} visible characters.")
    if not LEAST_SECONDS <= wish.ttl_seconds <= MOST_SECONDS:
        raise errors.invalid(f"`ttl_seconds` must be from {LEAST_SECONDS} to {MOST_SECONDS} (30 days).")
    if not wish.connections and not wish.providers:
        raise errors.invalid("Name at least one entry of `connections` or `providers`.")
    if len(wish.connections) + len(wish.providers) > MOST_CONNECTIONS:
        raise errors.invalid(f"A grant holds at most {MOST_CONNECTIONS} connections.")


def choose(wish: Wish, held: Collection[Connection]) -> tuple[Connection, ...]:
    """Which of a person's connections the wish means, each once, in the order asked for."""
    usable = [connection for connection in held if connection.state != "revoked"]
    by_id = {connection.id: connection for connection in usable}
    chosen: dict[UUID, Connection] = {}
    for connection_id in wish.connections:
        connection = by_id.get(connection_id)
        if connection is None:
            raise errors.connection_not_found()
        chosen[connection.id] = connection
    for provider in wish.providers:
        connection = _only_one(provider, [one for one in usable if one.provider == provider])
        chosen[connection.id] = connection
    for connection in chosen.values():
        if connection.state == "needs_reconnect":
            raise errors.needs_reconnect(connection)
    return tuple(chosen.values())


def narrowed(wish: Wish, chosen: Iterable[Connection]) -> tuple[str, ...] | None:
    """The scopes to store. BadInput `scope_not_granted` if the person never gave one of them to Keybearer."""
    if wish.scopes is None:
        return None
    wanted = tuple(dict.fromkeys(wish.scopes))
    given = {scope for connection in chosen for scope in connection.scopes}
    missing = [scope for scope in wanted if scope not in given]
    if missing:
        raise errors.scope_not_granted(missing)
    return wanted


def _only_one(provider: str, fitting: list[Connection]) -> Connection:
    if not fitting:
        raise errors.provider_not_connected(provider)
    if len(fitting) > 1:
        raise errors.connection_ambiguous(provider, fitting)
    return fitting[0]


def _is_line(text: str, longest: int) -> bool:
    """Not blank, not padded, and nothing invisible or turning in it that would make a name look like another."""
    return 1 <= len(text) <= longest and text.isprintable() and text == text.strip()
