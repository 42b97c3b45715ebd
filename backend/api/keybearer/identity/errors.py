"""Why a sign-in or link is refused; each code has a page in the UI."""

from keybearer.kit.errors import Conflict, Forbidden, NotFound


def link_required() -> Conflict:
    return Conflict(
        "link_required",
        "Another way to sign in already uses this email address. Sign in with that one, then link this provider under "
        "Account. Nothing was changed.",
    )


def identity_taken() -> Conflict:
    return Conflict(
        "identity_taken",
        "This account at the provider is already linked to somebody else here. Nothing was changed.",
    )


def address_taken() -> Conflict:
    return Conflict("address_taken", "Somebody signs in with this email address already. Sign in instead.")


def account_not_found() -> NotFound:
    return NotFound(
        "account_not_found",
        "Nobody has this email address, or several do who each sign in with a provider. Nothing was changed.",
    )


def registration_closed() -> Forbidden:
    return Forbidden("registration_closed", "This Keybearer takes no new accounts. Ask whoever runs it.")


def invitation_needed() -> Forbidden:
    return Forbidden(
        "invitation_needed",
        "A new account needs an invitation to this email address, and this is none, or it is over. Ask whoever runs "
        "this Keybearer.",
    )


def user_disabled() -> Forbidden:
    return Forbidden("user_disabled", "This account was disabled. Ask your administrator.")


def last_admin() -> Conflict:
    return Conflict(
        "last_admin", "Nobody else administers this Keybearer. Make somebody else an admin first. Nothing was changed."
    )


def last_identity() -> Conflict:
    return Conflict("last_identity", "This is your only way to sign in. Link another one first.")


def identity_not_found() -> NotFound:
    return NotFound("identity_not_found", "You have no such linked identity. It may have been unlinked already.")
