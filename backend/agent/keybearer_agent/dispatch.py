"""Asks for an agent until it is in the room.

A LiveKit server drops a dispatch for good where no worker is free at that moment, and tells nobody. So whoever asked
watches the room, asks again, and says so when nobody comes.
"""

import asyncio
import time
from collections.abc import Sequence

from livekit import api

from keybearer_agent.errors import AgentUnavailable

PAUSES = (2.0, 4.0, 8.0)
PATIENCE = 20.0
_LOOK_EVERY = 0.25
_NAME = "lk.agent.name"  # the attribute in which livekit-agents says which agent a participant is


async def dispatch(
    client: api.LiveKitAPI,
    room: str,
    agent_name: str,
    *,
    metadata: str = "",
    pauses: Sequence[float] = PAUSES,
    patience: float = PATIENCE,
) -> str:
    """The identity under which the agent is in the room; raises AgentUnavailable after `patience` seconds.

    An agent of that name that is there already is the answer. Only the worker reads `metadata`, so it may hold a grant;
    what is put into a person's room token instead can be read by that person.
    """
    deadline = time.monotonic() + patience
    asked: api.AgentDispatch | None = None
    for pause in (*pauses, patience):
        if (found := await find(client, room, agent_name)) is not None:
            return found
        if asked is not None:  # a worker that took it and is slow would join beside the next one
            await client.agent_dispatch.delete_dispatch(asked.id, room)
        asked = await client.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name=agent_name, room=room, metadata=metadata)
        )
        found = await _joined(client, room, agent_name, until=min(time.monotonic() + pause, deadline))
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            break
    if asked is not None:
        await client.agent_dispatch.delete_dispatch(asked.id, room)
    raise AgentUnavailable(
        "agent_unavailable", f"No worker of the agent {agent_name} came within {patience:.0f} seconds. Try again later."
    )


async def find(client: api.LiveKitAPI, room: str, agent_name: str) -> str | None:
    """The identity of the agent of that name in the room."""
    try:
        answer = await client.room.list_participants(api.ListParticipantsRequest(room=room))
    except api.TwirpError as error:
        if error.code == api.TwirpErrorCode.NOT_FOUND:  # nobody has been in the room yet
            return None
        raise
    agents = (each for each in answer.participants if each.kind == api.ParticipantInfo.Kind.AGENT)
    return next((agent.identity for agent in agents if agent.attributes.get(_NAME) == agent_name), None)


async def _joined(client: api.LiveKitAPI, room: str, agent_name: str, *, until: float) -> str | None:
    while time.monotonic() < until:
        await asyncio.sleep(_LOOK_EVERY)
        if (found := await find(client, room, agent_name)) is not None:
            return found
    return None
