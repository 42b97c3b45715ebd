"""A flow: what has to be remembered between sending a browser to a provider and its coming back."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from keybearer.kit.errors import BadInput

FLOW_LIFETIME = timedelta(minutes=10)
SIGN_IN, LINK, CONNECT = "sign_in", "link", "connect"

_LOCAL_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,511}")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only we and the provider know of a flow; sealed under the tenant's key."""

    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> "Secrets":
        return cls(nonce=secrets.token_urlsafe(32), code_verifier=secrets.token_urlsafe(48))


@dataclass(frozen=True, slots=True)
class Flow:
    id: UUID
    kind: str
    provider: str
    user_id: UUID | None
    session_id: UUID | None
    connection_id: UUID | None
    scopes: tuple[str, ...]
    return_to: str
    redirect_uri: str
    browser_hash: bytes
    expires_at: datetime
    used: bool
    sealed_secrets: bytes = field(repr=False)

    @property
    def began_at(self) -> datetime:
        return self.expires_at - FLOW_LIFETIME


def local_path(return_to: str) -> str:
    """The path to go back to. Raises BadInput("return_to_invalid") for anything that could lead to another site.

    Browsers read `//host`, `/\\host` and paths with tabs or line breaks in them as other sites; only visible ASCII
    without backslashes that starts with exactly one slash passes.
    """
    if not _LOCAL_PATH.fullmatch(return_to):
        raise BadInput(
            "return_to_invalid",
            "return_to must be a path on this site, such as /connections, of at most 512 characters.",
        )
    return return_to
