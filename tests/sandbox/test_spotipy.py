"""An SDK that knows nothing of the sandbox works with its address and a token alone."""

import pytest
import spotipy
from keybearer_sandbox.testing import RunningSandbox


@pytest.fixture
def client(sandbox: RunningSandbox) -> spotipy.Spotify:
    token = sandbox.tokens("spotify", "user-modify-playback-state user-read-playback-state")["access_token"]
    client = spotipy.Spotify(auth=token, retries=0, status_retries=0)
    client.prefix = f"{sandbox.url}/spotify/v1/"
    return client


def test_it_searches_plays_and_pauses(client: spotipy.Spotify) -> None:
    assert client.me()["display_name"] == "Alice Liddell"
    track = client.search("Despacito", type="track")["tracks"]["items"][0]
    client.start_playback(uris=[track["uri"]])
    assert client.current_playback()["item"]["name"] == "Despacito"
    client.pause_playback()
    assert client.current_playback()["is_playing"] is False


def test_it_understands_the_refusals(sandbox: RunningSandbox, client: spotipy.Spotify) -> None:
    sandbox.control("spotify", "expire_access_tokens")
    with pytest.raises(spotipy.SpotifyException, match="The access token expired") as refused:
        client.me()
    assert refused.value.http_status == 401
