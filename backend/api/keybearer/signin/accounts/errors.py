"""Why a sign-in with a password goes no further."""

from collections.abc import Sequence

from keybearer.kit.errors import Forbidden, NotSignedIn


def factor_required(factors: Sequence[str]) -> NotSignedIn:
    return NotSignedIn(
        "factor_required",
        "The password was right. This account also asks for a second factor: send it with the password.",
        extra={"factors": list(factors)},
    )


def address_unproven() -> Forbidden:
    return Forbidden(
        "address_unproven", "Confirm your email address first: open the link, or type the code, that was mailed to you."
    )


def confirmed_but_factor_required(factors: Sequence[str]) -> NotSignedIn:
    return NotSignedIn(
        "factor_required",
        "The address is confirmed. This account asks for a second factor: sign in with the password and with that.",
        extra={"factors": list(factors)},
    )
