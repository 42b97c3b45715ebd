"""`python -m keybearer_agent.demo "Play Despacito"`: the smallest agent there is.

It searches and plays on the Spotify account that a grant gives it, and says in plain words what it did or what a person
has to do. Exit codes: 0 it plays, 1 it could not, 2 it was started wrongly, 3 Keybearer refused.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import httpx2

from keybearer_agent import (
    ApprovalNeeded,
    GrantEnded,
    Keybearer,
    KeybearerError,
    NeedsReconnect,
    NotAllowed,
    NotConfigured,
    TemporarilyUnavailable,
    reason,
)

PLAYS, COULD_NOT, WRONG_START, REFUSED = 0, 1, 2, 3


class CouldNot(Exception):
    """Spotify answered, but not with music."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m keybearer_agent.demo", description="Plays a song on Spotify.")
    parser.add_argument("wish", nargs="+", help='what to play, such as "Play Despacito"')
    wish = " ".join(parser.parse_args(arguments).wish)
    try:
        keybearer = Keybearer.from_environment()
        with keybearer.provider("spotify") as spotify:
            play(spotify, wish)
    except KeybearerError as error:
        _say_error(_explained(error))
        return WRONG_START if isinstance(error, NotConfigured) else REFUSED
    except CouldNot as error:
        _say_error(str(error))
        return COULD_NOT
    except httpx2.RequestError:
        _say_error(f"Keybearer does not answer at {keybearer.url}. Is it running?")
        return COULD_NOT
    return PLAYS


def play(spotify: httpx2.Client, wish: str) -> None:
    """Finds the song and plays it; raises CouldNot, or KeybearerError for a refusal."""
    title = _title(wish)
    _say(f"Looking for “{title}” on Spotify …")
    why = reason(f"You asked: {wish}")
    parameters: dict[str, str | int] = {"q": title, "type": "track", "limit": 1}
    found = _content(spotify.get("/v1/search", params=parameters, headers=why))
    tracks = found["tracks"]["items"]
    if not tracks:
        raise CouldNot(f"Spotify knows no song for “{title}”.")
    track = tracks[0]
    _say(f"Found “{track['name']}” by {', '.join(artist['name'] for artist in track['artists'])}.")
    device = _device(spotify, why)
    answer = spotify.put("/v1/me/player/play", params=device, json={"uris": [track["uri"]]}, headers=why)
    _content(answer)
    _say("It plays now.")


def _title(wish: str) -> str:
    first, _, rest = wish.strip().partition(" ")
    return rest.strip() if first.lower() == "play" and rest.strip() else wish.strip()


def _device(spotify: httpx2.Client, why: dict[bytes, bytes]) -> dict[str, str]:
    """Names a device where none is active, since Spotify then plays nowhere."""
    devices = _content(spotify.get("/v1/me/player/devices", headers=why)).get("devices", [])
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


def _explained(error: KeybearerError) -> str:
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


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what it does is said on standard output


def _say_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - a command speaks on standard error


if __name__ == "__main__":
    sys.exit(main())
