"""The words of mails: plain text, short, and what to do at the end."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keybearer.mail.model import Message

_DAY = timedelta(days=1)
_METHODS = {"password": "passwords", "totp": "codes of an authenticator app", "recovery_code": "recovery codes"}
_FACTORS = {"totp": "an authenticator app", "passkey": "a passkey"}


@dataclass(frozen=True, slots=True)
class Notice:
    """What every notice has: where it is from, where to look, and how to say that it was somebody else."""

    installation: str
    account: str
    not_me: str = field(repr=False)

    @property
    def end(self) -> str:
        return f"""\
Was it you? Then there is nothing to do.

This wasn't me: end every session, and let this password in no more, at
{self.not_me}

It works for seven days. Your sessions and factors are at
{self.account}
"""


def new_device(notice: Notice, *, device: str, place: str, way: str, at: datetime) -> Message:
    """Tells a person of a sign-in from a browser, system and network that they have not used before."""
    return Message(
        kind="new_device",
        subject=f"New sign-in to {notice.installation}",
        text=f"""\
Somebody signed in to {notice.installation} as you, on a device or in a place that is new.

Device: {device}
Place: {place}
Signed in with: {way}
Time: {at:%d %B %Y, %H:%M} UTC

{notice.end}""",
        lifetime=_DAY,
    )


def password_changed(notice: Notice) -> Message:
    return _told(
        notice,
        "password_changed",
        f"Your password of {notice.installation} was changed",
        f"The password of your account at {notice.installation} was changed. All other sessions ended.",
    )


def factor_added(notice: Notice, kind: str) -> Message:
    return _told(
        notice,
        "factor_added",
        f"A second factor was added at {notice.installation}",
        f"Your account at {notice.installation} has a new second factor: {_FACTORS[kind]}.",
    )


def factor_removed(notice: Notice, kind: str) -> Message:
    return _told(
        notice,
        "factor_removed",
        f"A second factor was removed at {notice.installation}",
        f"A second factor of your account at {notice.installation} was removed: {_FACTORS[kind]}.",
    )


def recovery_code_used(notice: Notice, left: int) -> Message:
    return _told(
        notice,
        "recovery_code_used",
        f"A recovery code was used at {notice.installation}",
        f"Somebody showed a recovery code of your account at {notice.installation}. Codes that are left: {left}.",
    )


def account_locked(notice: Notice, method: str) -> Message:
    return _told(
        notice,
        "account_locked",
        f"Wrong guesses at your account of {notice.installation}",
        f"Somebody tried wrong {_METHODS[method]} for your account at {notice.installation}, five times. None is "
        "looked at for\na while, except from browsers and places that you signed in from before. Nobody came in.",
    )


def confirm(installation: str, *, link: str, code: str, again: bool) -> Message:
    """`again`: the address was registered before and never confirmed, so nobody knows whose password it is."""
    choose = (
        "Somebody had registered with it before, so neither password counts: once you are in, sign out and choose one "
        'with\n"Forgot password".\n\n'
    )
    return Message(
        kind="confirm",
        subject=f"Confirm your address for {installation}",
        text=f"""\
Somebody, perhaps you, registered at {installation} with this address.

Confirm that it is yours, at
{link}

or type this code where you registered: {code}

{choose if again else ""}Both work once, for 24 hours. Was it not you? Then do nothing: without you, nobody gets in.
""",
        lifetime=_DAY,
    )


def registered_already(installation: str, *, ways: str, sign_in: str, reset: str) -> Message:
    return Message(
        kind="registered_already",
        subject=f"You have an account at {installation}",
        text=f"""\
Somebody, perhaps you, tried to register at {installation} with this address. It has an account already, and you sign in
to it with {ways}, at
{sign_in}

A new password: {reset}

Was it not you? Then there is nothing to do. Nothing was changed.
""",
        lifetime=_DAY,
    )


def reset(installation: str, *, link: str) -> Message:
    return Message(
        kind="reset",
        subject=f"A new password for {installation}",
        text=f"""\
Somebody, perhaps you, asked for a new password for your account at {installation}. Choose one at
{link}

It works once, for 30 minutes. All sessions end then; your second factors stay.

Was it not you? Then there is nothing to do. Nothing was changed.
""",
        lifetime=timedelta(minutes=30),
    )


def no_password(installation: str, *, ways: str, sign_in: str) -> Message:
    return Message(
        kind="no_password",
        subject=f"Signing in to {installation}",
        text=f"""\
Somebody, perhaps you, asked for a new password for your account at {installation}. It has none: you sign in to it with
{ways}, at
{sign_in}

Was it not you? Then there is nothing to do. Nothing was changed.
""",
        lifetime=timedelta(hours=1),
    )


def _told(notice: Notice, kind: str, subject: str, sentence: str) -> Message:
    return Message(kind, subject, f"{sentence}\n\n{notice.end}", lifetime=_DAY)
