"""What can go wrong with a provider, in words for the person who waits for it."""

from keybearer.kit.errors import Conflict, NotFound, Unavailable, UpstreamFailed
from keybearer.providers.model import Provider


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
