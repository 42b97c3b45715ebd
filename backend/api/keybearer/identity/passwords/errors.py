"""Why a password is not taken."""

from collections.abc import Sequence

from keybearer.kit.errors import BadInput, Conflict, Forbidden, NotSignedIn

_SENTENCES = {
    "too_short": "It needs at least {least} characters.",
    "too_long": "It has more than 256 characters.",
    "too_few_classes": "It needs more kinds of characters: small letters, capitals, digits, others.",
    "breached": "It is on lists of stolen passwords.",
    "guessable": "It is easy to guess. Several unrelated words are better.",
    "reused": "It was used here before.",
}


def refused(reasons: Sequence[str], least: int) -> BadInput:
    sentences = " ".join(_SENTENCES[reason].format(least=least) for reason in reasons)
    return BadInput(
        "password_refused",
        f"This password is not taken. {sentences}",
        extra={"reasons": list(reasons), "minimum": least},
    )


def wrong() -> NotSignedIn:
    """One answer for an unknown address, an account without a password, and a wrong one."""
    return NotSignedIn("credentials_wrong", "The email address or the password is wrong. Try again.")


def current_wrong() -> Forbidden:
    return Forbidden("password_wrong", "The present password is wrong. Nothing was changed.")


def expired() -> Forbidden:
    return Forbidden(
        "password_expired",
        "This password is older than this installation allows. Sign in with it once more and choose a new one.",
    )


def reset_needed() -> Forbidden:
    return Forbidden(
        "password_reset_needed",
        'This password is right, and lets nobody in any more. Choose another one with "Forgot password", or ask '
        "whoever runs this Keybearer for one.",
    )


def none_yet() -> Conflict:
    return Conflict("no_password", "This account has no password. You sign in with a provider.")
