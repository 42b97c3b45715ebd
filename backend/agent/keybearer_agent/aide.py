"""The agent `aide`: one definition with its tools, for text now and for voice where speech models are configured."""

import asyncio
import json
import os
from collections.abc import Mapping

import httpx2
from livekit.agents import Agent, AgentSession, JobContext, RunContext, ToolError, TurnHandlingOptions, function_tool
from livekit.agents.types import NOT_GIVEN
from livekit.agents.voice.room_io import RoomOptions

from keybearer_agent import spotify
from keybearer_agent.client import Keybearer
from keybearer_agent.errors import KeybearerError
from keybearer_agent.rules import RuleLLM

NAME = "aide"
INSTRUCTIONS = (
    "You help a person through the accounts that they have connected. Answer in one or two plain sentences. "
    "When a tool fails, tell the person what it says; never promise what you have not done."
)


class Aide(Agent):
    """Acts for one person, with what their grant allows. It never sees a provider's token."""

    def __init__(self, credentials: Mapping[str, str]) -> None:
        super().__init__(instructions=INSTRUCTIONS)
        self._credentials = credentials

    @function_tool
    async def play_song(self, context: RunContext[None], title: str) -> str:
        """Play a song on the person's Spotify.

        Args:
            title: The song's title, with the artist where the person named one.
        """
        context.disallow_interruptions()  # half of it may be done already
        return await asyncio.to_thread(_play, self._credentials, title)


def _play(credentials: Mapping[str, str], title: str) -> str:
    why = f"You asked your agent to play {title}"
    try:
        keybearer = Keybearer.from_environment(credentials)
        with keybearer.provider("spotify") as client:
            track = spotify.find(client, title, why)
            spotify.play(client, track, why)
    except KeybearerError as error:
        raise ToolError(spotify.explained(error)) from error
    except spotify.CouldNot as error:
        raise ToolError(str(error)) from error
    except httpx2.RequestError as error:
        raise ToolError("Keybearer does not answer. Try again in a minute.") from error
    return f"Playing {track}."


def credentials_of(metadata: str, environment: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """KEYBEARER_URL and KEYBEARER_GRANT for one job.

    A job's metadata may bring a grant of its own, as a JSON object. An address in it counts only together with a grant:
    the grant of the environment goes to the address of the environment and nowhere else.
    """
    given = _texts(metadata)
    if "KEYBEARER_GRANT" in given:
        return {"KEYBEARER_URL": environment.get("KEYBEARER_URL", ""), **given}
    return environment


async def entry(context: JobContext) -> None:
    """One call: answers the person's text streams until they leave. Runs in a process of its own."""
    await context.connect()
    session: AgentSession[None] = AgentSession(
        llm=RuleLLM(), vad=None, turn_handling=TurnHandlingOptions(turn_detection=None)
    )
    session.on("close", lambda _: context.shutdown("the session is closed"))
    await session.start(
        Aide(credentials_of(context.job.metadata)),
        room=context.room,
        room_options=RoomOptions(
            audio_input=False, audio_output=False, participant_identity=listening_to(context.job.metadata) or NOT_GIVEN
        ),
    )


def listening_to(metadata: str) -> str | None:
    """With `participant_identity`, nobody else in the room can speak for the person whose grant this is."""
    return _texts(metadata).get("participant_identity")


def _texts(metadata: str) -> dict[str, str]:
    try:
        found = json.loads(metadata)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}
