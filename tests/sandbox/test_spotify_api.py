"""The fake Spotify's Web API: shapes, scopes and the real error bodies."""

import pytest

PLAYBACK = "user-modify-playback-state user-read-playback-state"


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 401, "No token provided"),
        ({"Authorization": "Bearer sbx_at_wrong"}, 401, "Invalid access token"),
        ({"Authorization": "Basic eDp5"}, 400, "Only valid bearer authentication supported"),
        ({"Authorization": "Bearer"}, 400, "Only valid bearer authentication supported"),
        ({"Authorization": "Bearer \xff\xfe"}, 401, "Invalid access token"),
    ],
)
def test_calls_without_a_good_token(sandbox, headers, status, message) -> None:
    answer = sandbox.request("GET", "/spotify/v1/me", None, headers)
    assert (answer.status, answer.json()) == (status, {"error": {"status": status, "message": message}})


def test_another_providers_token_is_not_good(sandbox) -> None:
    token = sandbox.tokens("oidc", "openid")["access_token"]
    assert sandbox.api("GET", "/spotify/v1/me", token).json()["error"]["message"] == "Invalid access token"


@pytest.mark.parametrize(
    ("scope", "fields"),
    [
        ("", set()),
        ("user-read-email", {"email"}),
        ("user-read-private", {"country", "product", "explicit_content"}),
    ],
)
def test_me_shows_what_scopes_allow(sandbox, scope, fields) -> None:
    person = sandbox.api("GET", "/spotify/v1/me", sandbox.tokens("spotify", scope)["access_token"]).json()
    assert person["display_name"] == "Alice Liddell"
    assert person["type"] == "user"
    assert "email_verified" not in person
    assert {"email", "country", "product", "explicit_content"} & person.keys() == fields


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/spotify/v1/me/player"),
        ("GET", "/spotify/v1/me/player/devices"),
        ("PUT", "/spotify/v1/me/player/play"),
        ("PUT", "/spotify/v1/me/player/pause"),
    ],
)
def test_the_player_needs_its_scopes(sandbox, method, path) -> None:
    answer = sandbox.api(method, path, sandbox.tokens("spotify", "user-read-email")["access_token"])
    assert (answer.status, answer.json()) == (403, {"error": {"status": 403, "message": "Insufficient client scope"}})


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("type=track", "No search query"),
        ("q=x", "Missing parameter type"),
        ("q=x&type=song", "Bad search type field"),
        ("q=x&type=track&limit=51", "Invalid limit"),
        ("q=x&type=track&limit=-1", "Invalid limit"),
        ("q=x&type=track&limit=%D9%A1", "Invalid limit"),
        ("q=x&type=track&offset=many", "Invalid offset"),
    ],
)
def test_bad_searches(sandbox, query, message) -> None:
    token = sandbox.tokens("spotify")["access_token"]
    answer = sandbox.api("GET", f"/spotify/v1/search?{query}", token)
    assert (answer.status, answer.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("query", "kind", "names"),
    [
        ("q=despacito&type=track", "tracks", ["Despacito", "Despacito - Remix"]),
        ("q=track:heroes%20artist:bowie&type=track", "tracks", ["Heroes"]),
        ("q=debussy&type=artist,album", "artists", ["Claude Debussy"]),
        ("q=despacito&type=track&limit=1&offset=1", "tracks", ["Despacito - Remix"]),
        ("q=no-such-song&type=track", "tracks", []),
        ("q=queen&type=playlist", "playlists", []),
    ],
)
def test_searches(sandbox, query, kind, names) -> None:
    found = sandbox.api("GET", f"/spotify/v1/search?{query}", sandbox.tokens("spotify")["access_token"]).json()
    assert [item["name"] for item in found[kind]["items"]] == names


def test_the_player_remembers(sandbox) -> None:
    token = sandbox.tokens("spotify", PLAYBACK)["access_token"]
    assert sandbox.api("GET", "/spotify/v1/me/player", token).status == 204
    refused = sandbox.api("PUT", "/spotify/v1/me/player/pause", token)
    assert (refused.status, refused.json()["error"]["reason"]) == (404, "NO_ACTIVE_DEVICE")
    assert sandbox.api("PUT", "/spotify/v1/me/player/play", token, {"position_ms": 5000}).status == 204
    state = sandbox.api("GET", "/spotify/v1/me/player", token).json()
    assert (state["is_playing"], state["progress_ms"]) == (True, 5000)
    assert sandbox.api("PUT", "/spotify/v1/me/player/pause", token).status == 204
    assert sandbox.api("GET", "/spotify/v1/me/player", token).json()["is_playing"] is False
    others = sandbox.tokens("spotify", PLAYBACK, "bob@example.com")["access_token"]
    assert sandbox.api("GET", "/spotify/v1/me/player", others).status == 204


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"uris": "spotify:track:1"}', 400),
        (b'{"uris": []}', 400),
        (b'{"uris": [1]}', 400),
        (b'{"uris": ["https://x"]}', 400),
        (b'{"position_ms": -1}', 400),
        (b'{"position_ms": true}', 400),
        (b'{"context_uri": 5}', 400),
        (b'{"context_uri": "spotify:album:1"}', 204),
        (b"\xff", 400),
        (b"[" * 60_000, 400),
        (b"", 204),
    ],
)
def test_what_play_takes(sandbox, body, status) -> None:
    token = sandbox.tokens("spotify", PLAYBACK)["access_token"]
    answer = sandbox.request("PUT", "/spotify/v1/me/player/play", body, {"Authorization": f"Bearer {token}"})
    assert answer.status == status


def test_play_on_a_device_that_is_not_there(sandbox) -> None:
    token = sandbox.tokens("spotify", PLAYBACK)["access_token"]
    device = sandbox.api("GET", "/spotify/v1/me/player/devices", token).json()["devices"][0]["id"]
    assert sandbox.api("PUT", f"/spotify/v1/me/player/play?device_id={device}", token).status == 204
    assert sandbox.api("PUT", "/spotify/v1/me/player/play?device_id=x", token).status == 404


def test_unknown_paths_and_methods(sandbox) -> None:
    assert sandbox.request("GET", "/spotify/v1/nothing").json() == {
        "error": {"status": 404, "message": "Service not found"}
    }
    assert sandbox.request("GET", "/spotify/v1/me/").status == 401
    assert sandbox.request("GET", "/spotify/api/token/").status == 404
    assert sandbox.request("DELETE", "/spotify/v1/me").status == 405
