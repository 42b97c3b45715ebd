"""Plays a song on the Spotify account that a grant gives. The errors' texts are meant for a person."""

from dataclasses import dataclass
from typing import Any

import httpx2

from keybearer_agent.client import reason
from keybearer_agent.errors import (
    ApprovalNeeded,
    GrantEnded,
    KeybearerError,
    NeedsReconnect,
    NotAllowed,
    TemporarilyUnavailable,
)


class CouldNot(Exception):
    """Spotify answered, but not with music."""


@dataclass(frozen=True)
class Track:
    name: str
    artists: str
    uri: str

    def __str__(self) -> str:
        return f"“{self.name}” by {self.artists}"


def find(spotify: httpx2.Client, title: str, why: str) -> Track:
    """The first song of that title; raises CouldNot, or KeybearerError for a refusal."""
    parameters: dict[str, str | int] = {"q": title, "type": "track", "limit": 1}
    found = _content(spotify.get("/v1/search", params=parameters, headers=reason(why)))
    tracks = found["tracks"]["items"]
    if not tracks:
        raise CouldNot(f"Spotify knows no song for “{title}”.")
    track = tracks[0]
    return Track(track["name"], ", ".join(artist["name"] for artist in track["artists"]), track["uri"])


def play(spotify: httpx2.Client, track: Track, why: str) -> None:
    """Raises as `find` does."""
    device = _device(spotify, why)
    _content(spotify.put("/v1/me/player/play", params=device, json={"uris": [track.uri]}, headers=reason(why)))


def explained(error: KeybearerError) -> str:
    """What a person has to do about a refusal."""
    if isinstance(error, NeedsReconnect):
        return f"Spotify needs to be reconnected: open {error.reconnect_url}"
    if isinstance(error, GrantEnded):
        return "This agent's grant has ended. Make a new one on the page Agents and start again with it."
    if isinstance(error, ApprovalNeeded):
        return "A person has to approve this first, and nobody has."
    if isinstance(error, NotAllowed):
        return f"This agent may not do that. {error.detail}"
    if isinstance(error, TemporarilyUnavailable) and error.retry_after:
        return f"{error.detail} (Wait {error.retry_after:.0f} seconds.)"
    return error.detail


def _device(spotify: httpx2.Client, why: str) -> dict[str, str]:
    """Names a device where none is active, since Spotify then plays nowhere."""
    devices = _content(spotify.get("/v1/me/player/devices", headers=reason(why))).get("devices", [])
    if not devices:
        raise CouldNot("Spotify is open on no device. Open it on a phone or computer, then try again.")
    if any(device["is_active"] for device in devices):
        return {}
    return {"device_id": devices[0]["id"]}


def _content(answer: httpx2.Response) -> dict[str, Any]:
    if answer.status_code == 429:
        raise CouldNot(f"Spotify asks to wait {answer.headers.get('Retry-After', 'some')} seconds. Try again then.")
    if answer.is_error:
        raise CouldNot(f"Spotify answered {answer.status_code}: {_message(answer)}")
    content: dict[str, Any] = answer.json() if answer.content else {}
    return content


def _message(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
