"""How a flow fails. Each code is a page in the UI, a ledger entry and a paragraph in docs/troubleshooting.md."""

from keybearer.kit.errors import BadInput, Conflict, Forbidden, NotFound, NotSignedIn, Unavailable, UpstreamFailed


def consent_denied() -> Forbidden:
    return Forbidden("consent_denied", "You did not agree at the provider, so nothing was changed.")


def provider_error() -> UpstreamFailed:
    return UpstreamFailed("provider_error", "The provider refused the request. Nothing was changed. Try again.")


def flow_unknown() -> BadInput:
    return BadInput(
        "flow_unknown",
        "This answer belongs to no sign-in that began in this browser. Nothing was changed. Start again.",
    )


def flow_replayed() -> Conflict:
    return Conflict("flow_replayed", "This sign-in was finished already. Nothing was changed. Start again if need be.")


def flow_expired() -> Conflict:
    return Conflict("flow_expired", "This sign-in took longer than ten minutes. Nothing was changed. Start again.")


def session_mismatch() -> Forbidden:
    return Forbidden(
        "session_mismatch", "You signed out, or in as somebody else, meanwhile. Nothing was changed. Start again."
    )


def not_for_sign_in() -> NotFound:
    return NotFound("provider_not_for_sign_in", "This provider can be connected, but not used to sign in.")


def not_configured() -> Conflict:
    return Conflict(
        "provider_not_configured",
        "This installation has no client credentials for the provider yet. docs/providers.md says how to add them.",
    )


def needs_fields() -> Conflict:
    return Conflict(
        "provider_needs_fields",
        "This provider is connected with a form: send its fields to POST /api/connections/{provider}.",
    )


def confirmation_mismatch() -> BadInput:
    return BadInput(
        "confirmation_mismatch",
        "Type the email address of the account (its name where there is none) to confirm. Nothing was deleted.",
    )


def account_gone() -> NotSignedIn:
    return NotSignedIn("not_signed_in", "This account was deleted already.")


def erasure_not_logged() -> Unavailable:
    return Unavailable(
        "erasure_not_logged",
        "The account was not deleted, because the list of deleted accounts cannot be written, and without that a "
        "restored backup would bring it back. Try again later.",
        retry_after=60,
    )
