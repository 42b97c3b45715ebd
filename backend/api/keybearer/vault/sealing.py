"""Where each secret of a connection is sealed: the column is part of the lock (rule R2)."""

from uuid import UUID

import structlog

from keybearer.keys.envelope import Owner, Place, WrappedKey
from keybearer.keys.errors import EnvelopeError
from keybearer.keys.service import Keys
from keybearer.vault import errors

__all__ = ["Keys", "WrappedKey", "open_column", "seal_column"]

Column = str

log = structlog.get_logger(__name__)


def seal_column(
    keys: Keys, key: WrappedKey, owner: Owner, connection_id: UUID, column: Column, secret: str | None
) -> bytes | None:
    if secret is None:
        return None
    return keys.seal_with(key, owner, _place(connection_id, column), secret.encode())


def open_column(
    keys: Keys, key: WrappedKey, owner: Owner, connection_id: UUID, column: Column, sealed: bytes | None
) -> str | None:
    """Raises Unavailable("credential_unreadable") for a ciphertext of another row, column, person or key."""
    if sealed is None:
        return None
    try:
        return keys.open_with(key, owner, _place(connection_id, column), sealed).decode()
    except EnvelopeError as error:
        log.exception("vault.credential.unreadable", connection=str(connection_id), column=column)
        raise errors.credential_unreadable(connection_id) from error


def _place(connection_id: UUID, column: Column) -> Place:
    return Place("connections", str(connection_id), column)
