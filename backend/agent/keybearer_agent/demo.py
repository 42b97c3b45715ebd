"""`python -m keybearer_agent.demo "Play Despacito"`: the smallest agent there is.

It searches and plays on the Spotify account that a grant gives it, and says in plain words what it did or what a person
has to do. Exit codes: 0 it plays, 1 it could not, 2 it was started wrongly, 3 Keybearer refused.
"""

import argparse
import sys
from collections.abc import Sequence

import httpx2

from keybearer_agent import Keybearer, KeybearerError, NotConfigured, spotify

PLAYS, COULD_NOT, WRONG_START, REFUSED = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m keybearer_agent.demo", description="Plays a song on Spotify.")
    parser.add_argument("wish", nargs="+", help='what to play, such as "Play Despacito"')
    wish = " ".join(parser.parse_args(arguments).wish)
    try:
        keybearer = Keybearer.from_environment()
        with keybearer.provider("spotify") as client:
            play(client, wish)
    except KeybearerError as error:
        _say_error(spotify.explained(error))
        return WRONG_START if isinstance(error, NotConfigured) else REFUSED
    except spotify.CouldNot as error:
        _say_error(str(error))
        return COULD_NOT
    except httpx2.RequestError:
        _say_error(f"Keybearer does not answer at {keybearer.url}. Is it running?")
        return COULD_NOT
    return PLAYS


def play(client: httpx2.Client, wish: str) -> None:
    """Finds the song and plays it; raises as `spotify.find` does."""
    title, why = _title(wish), f"You asked: {wish}"
    _say(f"Looking for “{title}” on Spotify …")
    track = spotify.find(client, title, why)
    _say(f"Found {track}.")
    spotify.play(client, track, why)
    _say("It plays now.")


def _title(wish: str) -> str:
    first, _, rest = wish.strip().partition(" ")
    return rest.strip() if first.lower() == "play" and rest.strip() else wish.strip()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what it does is said on standard output


def _say_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - a command speaks on standard error


if __name__ == "__main__":
    sys.exit(main())
