"""What a token endpoint answers, read strictly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from keybearer.providers.errors import TokenRequestFailed
from keybearer.providers.model import split_scopes

__all__ = ["TokenAnswer", "TokenRequestFailed", "read_answer"]

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_LONGEST_TOKEN = 16 * 1024
_LONGEST_ID_TOKEN = 64 * 1024
_LONGEST_LIFE = 10 * 365 * 86_400.0
# Slack says whose token it is, where others say what kind.
_BEARER_TYPES = frozenset({"bearer", "bot", "user"})
_SECRET_MEMBERS = frozenset({"access_token", "refresh_token", "id_token"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """`expires_in` in seconds, None: does not expire. `scopes` None: as asked for. `about`: the other members."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    expires_in: float | None = None
    scopes: tuple[str, ...] | None = None
    token_type: str = "Bearer"  # noqa: S105 - a kind of token
    about: Mapping[str, object] = field(default_factory=dict, repr=False)


def read_answer(
    document: Mapping[str, object], *, token_path: str | None = None, assumed_expires_in: float | None = None
) -> TokenAnswer:
    """ValueError, without any value, if it holds no bearer token that a header can carry."""
    members = _at(document, token_path)
    token_type = members.get("token_type", "bearer")
    if not isinstance(token_type, str) or token_type.lower() not in _BEARER_TYPES:
        raise ValueError("token_type")
    access_token = _token(members, "access_token", _LONGEST_TOKEN)
    if access_token is None:
        raise ValueError("access_token")
    expires_in = _seconds(members.get("expires_in"))
    return TokenAnswer(
        access_token=access_token,
        refresh_token=_token(members, "refresh_token", _LONGEST_TOKEN),
        id_token=_token(members, "id_token", _LONGEST_ID_TOKEN),
        expires_in=assumed_expires_in if expires_in is None else expires_in,
        scopes=_scopes(members.get("scope")),
        about=_without_secrets(document),
    )


def _at(document: Mapping[str, object], path: str | None) -> Mapping[str, object]:
    """Where the person's token lies. Providers that put it one level down answer a refresh without that level."""
    value: object = document
    for part in path.split(".") if path else ():
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else document


def _without_secrets(document: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _without_secrets(value) if isinstance(value, Mapping) else value
        for key, value in document.items()
        if key not in _SECRET_MEMBERS
    }


def _token(document: Mapping[str, object], name: str, longest: int) -> str | None:
    value = document.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > longest or not _VISIBLE.fullmatch(value):
        raise ValueError(name)
    return value


def _seconds(value: object) -> float | None:
    """Numbers and texts of numbers; anything else, and what is below zero, counts as not said."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return min(seconds, _LONGEST_LIFE) if seconds >= 0 else None


def _scopes(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return split_scopes(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    return None
