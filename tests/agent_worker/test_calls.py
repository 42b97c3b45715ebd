"""Calls at a real LiveKit server: dispatched, answered, kept through a drain, asked for again where nobody was free."""

import asyncio
import json
import signal
import time

import httpx2
import pytest
from keybearer_agent.dispatch import dispatch
from keybearer_agent.errors import AgentUnavailable
from keybearer_agent.rules import AT_A_LOSS
from livekit import api

AGENT = "aide"


async def agents_in(client: api.LiveKitAPI, room: str) -> list[str]:
    answer = await client.room.list_participants(api.ListParticipantsRequest(room=room))
    return [each.identity for each in answer.participants if each.kind == api.ParticipantInfo.Kind.AGENT]


def ask(worker) -> None:
    """What the kubelet sends: to the first process alone."""
    worker.process.send_signal(signal.SIGTERM)


async def test_a_dispatched_agent_answers_by_text_and_plays_with_the_grant_of_its_job(
    client, start_worker, join, room, connected, sandbox
):
    worker = await start_worker()
    grant_id, grant = await connected.grant("spotify")
    alice, mallory = await join(room), await join(room, "mallory")
    metadata = {"KEYBEARER_URL": connected.url, "KEYBEARER_GRANT": grant, "participant_identity": "alice"}
    identity = await dispatch(client, room, AGENT, metadata=json.dumps(metadata))
    assert await agents_in(client, room) == [identity]
    assert await worker.active_jobs() == 1

    await mallory.room.local_participant.send_text("Play Despacito", topic="lk.chat")
    assert await alice.say("Hello") == AT_A_LOSS
    assert sandbox.stats()["spotify"]["play"] == 0, "only the person whose grant it is gives orders"
    assert await alice.say("Please play Despacito!") == "Playing “Despacito” by Luis Fonsi."
    assert sandbox.stats()["spotify"]["play"] == 1

    await connected.services.grants.revoke(connected.alice, grant_id)
    assert (await alice.say("Play Despacito")).startswith("This agent's grant has ended.")
    await alice.room.disconnect()
    await worker.until_active(0)


@pytest.mark.long
async def test_the_grant_of_the_environment_serves_every_job(client, start_worker, join, room, connected, sandbox):
    """And a consent that ended at the provider is said with where to go."""
    _, grant = await connected.grant("spotify")
    await start_worker(KEYBEARER_URL=connected.url, KEYBEARER_GRANT=grant)
    alice = await join(room)
    await dispatch(client, room, AGENT)
    assert await alice.say("play Despacito") == "Playing “Despacito” by Luis Fonsi."
    sandbox.control("spotify", "invalid_grant")
    sandbox.control("spotify", "expire_access_tokens")
    said = await alice.say("play Despacito")
    while "try again" in said.lower():  # the refusal is confirmed once before people are asked to act
        said = await alice.say("play Despacito")
    assert said.startswith(f"Spotify needs to be reconnected: open {connected.url}/connections")


async def test_sigterm_lets_the_call_in_progress_end_and_takes_no_new_one(client, start_worker, join, room):
    worker = await start_worker(jobs_per_worker=2)
    alice = await join(room)
    await dispatch(client, room, AGENT)
    ask(worker)
    await worker.until_logged("draining worker")
    with pytest.raises(AgentUnavailable):
        await dispatch(client, f"{room}-2", AGENT, pauses=(1.0,), patience=3.0)
    assert await alice.say("Still there?") == AT_A_LOSS
    assert worker.process.returncode is None
    await alice.room.disconnect()
    assert await worker.ended() == 0


@pytest.mark.long
async def test_a_drain_that_lasts_too_long_ends(client, start_worker, join, room):
    worker = await start_worker(KEYBEARER_DRAIN_SECONDS="2")
    await join(room)
    await dispatch(client, room, AGENT)
    ask(worker)
    assert await worker.ended() == 0
    assert "worker.drain_timed_out" in worker.log.read_text()


async def test_a_dispatch_that_found_the_worker_busy_is_repeated(client, start_worker, join, room):
    worker = await start_worker(jobs_per_worker=1)
    alice = await join(room)
    await dispatch(client, room, AGENT)
    await worker.until_logged("at full capacity")
    asked = asyncio.create_task(dispatch(client, f"{room}-2", AGENT))
    await asyncio.sleep(1)
    assert await agents_in(client, f"{room}-2") == []
    await alice.room.disconnect()
    await worker.until_active(0)
    identity = await asked
    assert await agents_in(client, f"{room}-2") == [identity]
    assert len(await client.agent_dispatch.list_dispatch(f"{room}-2")) <= 2, "what was repeated leaves nothing behind"


async def test_nobody_there_is_said_and_leaves_nothing_behind(client, room):
    began = time.monotonic()
    with pytest.raises(AgentUnavailable) as raised:
        await dispatch(client, room, "nobody", pauses=(0.2, 0.4), patience=1.5)
    assert raised.value.code == "agent_unavailable"
    assert 1.4 < time.monotonic() - began < 10
    left = await client.agent_dispatch.list_dispatch(room)
    assert [each for each in left if each.agent_name == "nobody"] == []


async def test_an_agent_that_is_there_is_not_asked_for_again(client, start_worker, join, room):
    await start_worker(jobs_per_worker=2)
    await join(room)
    first = await dispatch(client, room, AGENT)
    assert await dispatch(client, room, AGENT) == first
    assert await agents_in(client, room) == [first]


@pytest.mark.long
async def test_calls_that_arrive_together_fill_each_place_and_no_more(client, start_worker, join, room):
    worker = await start_worker(jobs_per_worker=3)
    rooms = [f"{room}-{number}" for number in range(4)]
    for each in rooms:
        await join(each)
    asked = [dispatch(client, each, AGENT, pauses=(2.0,), patience=6.0) for each in rooms]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, AgentUnavailable) for answer in answers) == 1
    assert await worker.active_jobs() == 3


async def test_metrics_count_the_jobs_of_every_process(client, start_worker, join, room):
    worker = await start_worker()
    await join(room)
    await dispatch(client, room, AGENT)
    async with httpx2.AsyncClient() as browser:
        metrics = (await browser.get(worker.metrics_url)).text
    assert "lk_agents_active_job_count" in metrics
    assert "lk_agents_worker_load" in metrics
