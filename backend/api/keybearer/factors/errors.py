"""Why a factor is not taken, or is asked for."""

from collections.abc import Sequence
from typing import Literal

from keybearer.kit.errors import BadInput, Conflict, Forbidden, NotFound, NotSignedIn, ReauthenticationNeeded

Next = Literal["reauthenticate", "enrol", "sign_in"]
_ADVICE: dict[Next, str] = {
    "reauthenticate": "Show that it is you, then do this again.",
    "enrol": "This needs a second factor, and you have none yet. Add one under Account, then do this again.",
    "sign_in": "Sign in again at your provider first, then do this again.",
}


def reauthenticate(following: Next, factors: Sequence[str]) -> ReauthenticationNeeded:
    return ReauthenticationNeeded("reauthenticate", _ADVICE[following], extra={"next": following, "factors": factors})


def factor_wrong() -> Forbidden:
    return Forbidden("factor_wrong", "This is not right, or was used before. Nothing was changed. Try the next one.")


def factor_not_found() -> NotFound:
    return NotFound("factor_not_found", "You have no such factor. It may have been removed already.")


def factor_missing() -> Conflict:
    return Conflict("factor_missing", "Recovery codes stand in for a second factor, and you have none. Add one first.")


def passkey_refused() -> NotSignedIn:
    return NotSignedIn("passkey_refused", "This passkey is not known here, or did not fit. Nobody was signed in.")


def passkey_invalid() -> BadInput:
    return BadInput(
        "passkey_invalid", "The answer of the authenticator cannot be used, so no passkey was added. Try again."
    )


def passkey_taken() -> Conflict:
    return Conflict("passkey_taken", "This passkey is registered here already. Nothing was changed.")


def challenge_ended() -> Conflict:
    return Conflict(
        "challenge_ended",
        "This request for a passkey did not begin in this browser, was answered already, or is older than five "
        "minutes. Nothing was changed. Try again.",
    )
