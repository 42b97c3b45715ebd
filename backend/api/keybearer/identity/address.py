"""Email addresses as people type them."""

from email_validator import EmailNotValidError, validate_email

from keybearer.kit.errors import BadInput


def checked(text: str) -> str:
    """In the form in which it is kept. Nobody is asked whether the domain takes mail: an answer would need the network.

    Raises BadInput("email_invalid").
    """
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise BadInput(
            "email_invalid", "This is no email address that mail could reach. Check its spelling."
        ) from error
