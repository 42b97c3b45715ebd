"""What can go wrong with a provider: token requests in the words of R4, the rest in words for whoever waits."""

from typing import Literal

from keybearer.kit.errors import Conflict, NotFound, Unavailable, UpstreamFailed
from keybearer.providers.model import Provider

FailureKind = Literal["transient", "unknown", "invalid_grant", "invalid_client", "other"]


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


class IdentityInvalid(UpstreamFailed):
    """The provider did not prove, or did not say, who the person is.

    `code` is `id_token_invalid` or `provider_error`; `reason` is a short fixed word for log and ledger.
    """

    def __init__(self, code: str, detail: str, *, reason: str) -> None:
        super().__init__(code, detail)
        self.reason = reason


def provider_unknown(name: str) -> NotFound:
    return NotFound(
        "provider_unknown",
        f"There is no provider called {name[:32]!r} here. GET /api/auth/providers lists those that there are.",
    )


def provider_not_configured(provider: Provider) -> Conflict:
    return Conflict(
        "provider_not_configured",
        f"{provider.title} is not set up on this installation: {', '.join(provider.missing)} must be given. "
        "docs/providers.md says where.",
    )


def provider_unavailable(provider: Provider, retry_after: float | None = None) -> Unavailable:
    return Unavailable(
        "provider_unavailable",
        f"{provider.title} does not answer at the moment. Try again in a minute.",
        retry_after=None if retry_after is None else max(1, round(retry_after)),
    )


def id_token_invalid(provider: Provider, reason: str) -> IdentityInvalid:
    return IdentityInvalid(
        "id_token_invalid",
        f"What {provider.title} sent to prove who you are did not pass the checks. Try again; if it happens again, "
        "ask your administrator to look at the log.",
        reason=reason,
    )


def identity_unusable(provider: Provider, reason: str) -> IdentityInvalid:
    return IdentityInvalid(
        "provider_error",
        f"{provider.title} did not say who you are. Try again, and allow Keybearer to see your profile.",
        reason=reason,
    )
