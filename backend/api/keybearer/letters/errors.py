"""Why a link or a code of a mail does nothing."""

from keybearer.kit.errors import BadInput, Conflict


def letter_ended() -> Conflict:
    """One answer for what was never sent, was used, is over, was replaced, or is another tenant's."""
    return Conflict(
        "letter_ended",
        "This link does not work, or not any more: it was used, it is over, or a newer mail took its place. Nothing "
        "was changed. Ask for a new mail.",
    )


def code_wrong() -> BadInput:
    """The same for an address that nobody has."""
    return BadInput(
        "code_wrong",
        "This is not the code of the newest mail to this address. After five wrong ones only the link in it works.",
    )


def mail_off() -> Conflict:
    return Conflict(
        "mail_off",
        "This Keybearer sends no mail, so none can help here. Whoever runs it sets a new password with `keybearer "
        "admin reset-password`.",
    )
