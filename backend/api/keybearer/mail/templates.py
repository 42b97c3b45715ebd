"""The words of mails: plain text, short, and what to do at the end."""

from datetime import datetime, timedelta

from keybearer.mail.model import Message


def new_device(*, installation: str, device: str, place: str, way: str, at: datetime, origin: str) -> Message:
    """Tells a person of a sign-in from a browser, system and network that they have not used before."""
    return Message(
        kind="new_device",
        subject=f"New sign-in to {installation}",
        text=f"""\
Somebody signed in to {installation} as you, on a device or in a place that is new.

Device: {device}
Place: {place}
Signed in with: {way}
Time: {at:%d %B %Y, %H:%M} UTC

Was it you? Then there is nothing to do.

This wasn't me: end that session, and see your others, at
{origin}/account

Then change the password of the account that you sign in with.
""",
        lifetime=timedelta(days=1),
    )
