"""The demo agent: what it does, and what it tells a person who has to do something."""

import pytest
from keybearer_agent import demo

PLAY = ("-m", "keybearer_agent.demo", "Play Despacito")


async def test_it_searches_and_plays_and_says_so(connected, sandbox):
    _, grant = await connected.grant("spotify")
    finished = await connected.run(*PLAY, grant=grant)
    assert (finished.code, finished.err) == (demo.PLAYS, "")
    assert finished.out.splitlines()[1:] == ["Found “Despacito” by Luis Fonsi.", "It plays now."]
    assert sandbox.stats()["spotify"]["play"] == 1


async def test_it_plays_again_after_the_access_token_expired(connected, sandbox):
    _, grant = await connected.grant("spotify")
    assert (await connected.run(*PLAY, grant=grant)).code == demo.PLAYS
    sandbox.control("spotify", "expire_access_tokens")
    assert (await connected.run(*PLAY, grant=grant)).code == demo.PLAYS
    assert sandbox.stats()["spotify"]["refresh"] == 1, "one refresh, however many calls found the token expired"


@pytest.mark.long
async def test_a_consent_that_ended_at_the_provider_is_said_with_where_to_go(connected, sandbox):
    _, grant = await connected.grant("spotify")
    sandbox.control("spotify", "invalid_grant")
    sandbox.control("spotify", "expire_access_tokens")
    finished = await connected.run(*PLAY, grant=grant)
    while "try again" in finished.err.lower():  # the refusal is confirmed once before people are asked to act
        finished = await connected.run(*PLAY, grant=grant)
    assert finished.code == demo.REFUSED
    assert finished.err.startswith(f"Spotify needs to be reconnected: open {connected.url}/connections")


async def test_a_revoked_grant_is_said_calmly(connected):
    grant_id, grant = await connected.grant("spotify")
    await connected.services.grants.revoke(connected.alice, grant_id)
    finished = await connected.run(*PLAY, grant=grant)
    assert finished.code == demo.REFUSED
    assert finished.err == (
        "This agent's grant has ended. Make a new one on the page Agents and start again with it.\n"
    )


async def test_an_agent_without_the_connection_is_told(connected):
    _, grant = await connected.grant("github")
    finished = await connected.run(*PLAY, grant=grant)
    assert finished.code == demo.REFUSED
    assert finished.err.startswith("This agent may not do that. The grant does not include this Spotify connection.")


@pytest.mark.parametrize(
    ("wish", "said"),
    [("Play Qzxv nothing", "Spotify knows no song for “Qzxv nothing”.\n")],
)
async def test_what_spotify_cannot_do_is_said(connected, wish, said):
    _, grant = await connected.grant("spotify")
    finished = await connected.run("-m", "keybearer_agent.demo", wish, grant=grant)
    assert (finished.code, finished.err) == (demo.COULD_NOT, said)


async def test_it_says_what_is_not_set(connected):
    finished = await connected.run(*PLAY)
    assert finished.code == demo.WRONG_START
    assert finished.err.startswith("Not set: KEYBEARER_URL, KEYBEARER_GRANT.")


async def test_it_says_where_nobody_answers(connected):
    _, grant = await connected.grant("spotify")
    finished = await connected.run(*PLAY, more={"KEYBEARER_URL": "http://127.0.0.1:9", "KEYBEARER_GRANT": grant})
    assert finished.code == demo.COULD_NOT
    assert finished.err == "Keybearer does not answer at http://127.0.0.1:9. Is it running?\n"
