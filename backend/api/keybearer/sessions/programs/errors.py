"""Why a refresh token is not taken."""

from keybearer.kit.errors import NotSignedIn


def refresh_invalid() -> NotSignedIn:
    return NotSignedIn("refresh_invalid", "This refresh token is unknown, or over. Sign in again.")


def refresh_reused() -> NotSignedIn:
    return NotSignedIn(
        "refresh_reused",
        "This refresh token was used before, so somebody else may have it. Its sign-in was ended everywhere. Sign in "
        "again.",
    )
