"""What an agent author's own test may look like; the fixture comes with the installed distribution."""

from keybearer_sandbox.testing import RunningSandbox


def test_an_agent_plays_a_song_and_survives_an_expired_token(sandbox: RunningSandbox) -> None:
    tokens = sandbox.tokens("spotify", "user-modify-playback-state user-read-playback-state")
    found = sandbox.api("GET", "/spotify/v1/search?q=Despacito&type=track", tokens["access_token"]).json()
    uri = found["tracks"]["items"][0]["uri"]

    sandbox.control("spotify", "expire_access_tokens")
    refused = sandbox.api("PUT", "/spotify/v1/me/player/play", tokens["access_token"], {"uris": [uri]})
    assert refused.json() == {"error": {"status": 401, "message": "The access token expired"}}

    fresh = sandbox.refresh("spotify", tokens["refresh_token"]).json()["access_token"]
    assert sandbox.api("PUT", "/spotify/v1/me/player/play", fresh, {"uris": [uri]}).status == 204

    playing = sandbox.api("GET", "/spotify/v1/me/player", fresh).json()
    assert (playing["is_playing"], playing["item"]["name"]) == (True, "Despacito")
    assert sandbox.stats()["spotify"]["refresh"] == 1
