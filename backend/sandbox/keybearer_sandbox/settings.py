"""What one running sandbox is told at its start; nothing here changes afterwards."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT_REDIRECT_URIS = ("http://localhost/callback",)


@dataclass(frozen=True)
class Settings:
    """`base_url` is the origin that browsers and clients reach the sandbox at, without a trailing slash."""

    base_url: str
    redirect_uris: tuple[str, ...] = DEFAULT_REDIRECT_URIS
    state_file: Path | None = None
