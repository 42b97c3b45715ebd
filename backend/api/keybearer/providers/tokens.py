"""What a token endpoint answers, and how a token request can fail; R4 is written in these words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FailureKind = Literal["transient", "unknown", "invalid_grant", "invalid_client", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """`expires_in` in seconds, None: does not expire. `scopes` None: as asked for. `about`: the other members."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    expires_in: float | None = None
    scopes: tuple[str, ...] | None = None
    token_type: str = "Bearer"  # noqa: S105 - a kind of token
    about: Mapping[str, object] = field(default_factory=dict, repr=False)


class TokenRequestFailed(Exception):
    """Says how a token request failed, never what was sent or answered.

    transient       the provider cannot have acted on it: not connected, 5xx, 429
    unknown         it was sent and no answer came: the provider may have rotated the token
    invalid_grant   the code or refresh token is not accepted
    invalid_client  our client id or secret is not accepted
    other           refused for another reason, or answered with something unusable

    `code` is the provider's own `error` where that is a short word, else "". `retry_after` is in seconds.
    """

    def __init__(
        self,
        kind: FailureKind,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        code: str = "",
    ) -> None:
        super().__init__(f"token request failed: {kind} (status {status}, code {code or 'none'})")
        self.kind: FailureKind = kind
        self.status = status
        self.retry_after = retry_after
        self.code = code
