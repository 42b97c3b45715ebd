"""Credentials that people type: what their fields must be, and what the account is called (decision D20)."""

from collections.abc import Mapping

from keybearer.providers.model import Provider
from keybearer.vault import errors

_LONGEST = 4096


def check(provider: Provider, fields: Mapping[str, str]) -> None:
    """Raises BadInput("request_invalid") without naming any value."""
    if provider.auth == "oauth2":
        raise errors.fields_invalid(
            f"{provider.title} is connected by consent, not by typing a secret. Start it from the Connections page."
        )
    known = {field.name for field in provider.fields}
    if unknown := fields.keys() - known:
        raise errors.fields_invalid(f"{provider.title} has no field {min(unknown)[:64]!r}. Leave it out.")
    for field in provider.fields:
        value = fields.get(field.name, "")
        if not value.strip():
            raise errors.fields_invalid(f"{field.label} is missing. Fill it in.")
        if len(value) > _LONGEST or not value.isascii() or not value.isprintable():
            raise errors.fields_invalid(f"{field.label} holds something that no header can carry. Copy it again.")


def account(provider: Provider, fields: Mapping[str, str]) -> tuple[str, str]:
    """Id and name. What is not secret names the account; a form of nothing but secrets has one account, whose secret a
    second entry replaces.
    """
    shown = [fields[field.name] for field in provider.fields if not field.secret]
    if not shown:
        return "default", provider.title
    return "\n".join(shown), shown[0]
