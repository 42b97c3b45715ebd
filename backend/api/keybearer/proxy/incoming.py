"""Reads an agent's request out of the ASGI scope, as bytes, because the bytes that are matched are the bytes sent."""

import re
from dataclasses import dataclass, field
from uuid import UUID

from starlette.types import Scope

from keybearer.kit import tokens
from keybearer.kit.errors import BadInput
from keybearer.providers import policy
from keybearer.proxy import errors

PREFIX = b"/api/proxy/"
LONGEST_REASON = 500
_PROVIDER = re.compile(rb"[a-z][a-z0-9-]{1,31}")
_QUERY = re.compile(rb"[!-~]*")
# GitHub's own clients say `token` where others say `Bearer`.
_SCHEMES = frozenset({b"bearer", b"token"})

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """`path` begins with the slash after the provider's name. `declared_length` is None for a chunked body."""

    method: str
    token: str = field(repr=False)
    provider: str
    path: bytes
    query: bytes
    headers: RawHeaders = field(repr=False)
    reason: str | None
    connection_id: UUID | None
    declared_length: int | None


def read(scope: Scope) -> Incoming:
    """Raises BadInput for what no honest client sends, and NotSignedIn("grant_missing")."""
    headers: RawHeaders = list(scope["headers"])
    token = _token(headers)
    provider, path = _target(scope)
    return Incoming(
        method=scope["method"].upper(),
        token=token,
        provider=provider,
        path=path,
        query=scope["query_string"],
        headers=headers,
        reason=_reason(headers),
        connection_id=_connection_id(headers),
        declared_length=_length(headers),
    )


def check(incoming: Incoming) -> None:
    """What is refused whoever asks: ambiguous paths, credentials in the query, and upgrades."""
    policy.canonical_path(incoming.path)
    if not _QUERY.fullmatch(incoming.query) or b"#" in incoming.query:
        raise errors.query_refused("The query holds bytes that a URL cannot. Encode them with %.")
    key = policy.refused_query(incoming.query)
    if key is not None:
        raise errors.query_refused(
            f"`{key}` in the query would bring another credential. Leave it out; the grant is enough."
        )
    if any(name == b"upgrade" and b"websocket" in value.lower() for name, value in incoming.headers):
        raise errors.websocket_refused()


def _target(scope: Scope) -> tuple[str, bytes]:
    raw: bytes = scope["raw_path"].removeprefix(scope.get("root_path", "").encode())
    provider, _, rest = raw.removeprefix(PREFIX).partition(b"/")
    if not raw.startswith(PREFIX) or not _PROVIDER.fullmatch(provider):
        raise BadInput("path_refused", "The address must be /api/proxy/<provider>/<path>, none of it encoded further.")
    return provider.decode(), b"/" + rest


def _token(headers: RawHeaders) -> str:
    value = _only(headers, b"authorization") or b""
    scheme, _, presented = value.partition(b" ")
    token = presented.strip().decode("latin-1")
    if scheme.lower() not in _SCHEMES or not tokens.is_well_formed(token, tokens.GRANT):
        raise errors.grant_missing()
    return token


def _reason(headers: RawHeaders) -> str | None:
    value = _only(headers, b"keybearer-reason")
    if value is None:
        return None
    try:
        reason = value.decode().strip()
    except UnicodeDecodeError:
        raise errors.header_refused("Keybearer-Reason must be UTF-8 text.") from None
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise errors.header_refused(f"Keybearer-Reason must be one line of at most {LONGEST_REASON} characters.")
    return reason or None


def _connection_id(headers: RawHeaders) -> UUID | None:
    value = _only(headers, b"keybearer-connection")
    if value is None:
        return None
    try:
        return UUID(value.decode("latin-1"))
    except ValueError:
        raise errors.header_refused("Keybearer-Connection must be the id of a connection.") from None


def _length(headers: RawHeaders) -> int | None:
    value = _only(headers, b"content-length")
    return int(value) if value is not None and value.isdigit() and len(value) < 20 else None


def _only(headers: RawHeaders, wanted: bytes) -> bytes | None:
    values = [value for name, value in headers if name == wanted]
    if len(values) > 1:
        raise errors.header_refused(f"The header {wanted.decode()} is there twice. Send it once.")
    return values[0] if values else None
