"""The spine end to end over HTTP: sign in, connect, grant, proxied calls, expiry and restart, disconnect."""

from installation import Browser, Installation


def test_an_agent_plays_a_song_and_plays_again_after_expiry_and_restart(server: Installation, browser: Browser) -> None:
    me = server.sign_in(browser)
    assert me["email"] == "alice@example.com"
    connection = server.connect(browser)
    assert connection["state"] == "active"
    grant = server.grant(browser)["grant"]
    found = server.call(grant, "spotify/v1/search?q=Despacito&type=track")
    assert found.status_code == 200, found.text
    uri = found.json()["tracks"]["items"][0]["uri"]
    played = server.call(grant, "spotify/v1/me/player/play", "PUT", json={"uris": [uri]})
    assert played.status_code == 204, played.text

    server.sandbox.control("spotify", "expire_access_tokens")
    server.stop()
    server.start()
    assert server.call(grant, "spotify/v1/me/player/play", "PUT", json={"uris": [uri]}).status_code == 204
    assert server.sandbox.stats()["spotify"]["refresh"] == 1

    gone = browser.delete(f"/api/connections/{connection['id']}")
    assert gone.status_code == 200, gone.text
    refused = server.call(grant, "spotify/v1/me")
    assert refused.status_code == 401
    assert refused.headers["keybearer-error"]
