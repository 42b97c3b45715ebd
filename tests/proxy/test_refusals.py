"""What is refused, with which code, and that nothing reached the provider. All of it is in the ledger."""

import asyncio
import re
from uuid import uuid4

import pytest
from keybearer.kit import tokens
from keybearer.kit.errors import Conflict, Unavailable
from sqlalchemy import text

SPOTIFY = "/spotify/v1/me"


@pytest.fixture
async def grant(world, sandboxed) -> str:
    """For one account at Spotify and one at GitHub."""
    spotify = await world.connect("spotify", sandboxed.tokens("spotify")["access_token"], ("user-read-private",))
    github = await world.connect("github", sandboxed.tokens("github", "repo")["access_token"], ("repo",))
    return await world.grant(spotify, github)


async def refused(world, grant, method="GET", target=SPOTIFY, headers=None, **more) -> tuple[int, str]:
    """(status, code) of a refusal, after checking that it looks like one of ours."""
    async with world.client(grant) as client:
        raw = f"/api/proxy{target}".encode()
        answer = await client.request(method, "/", headers=headers, extensions={"target": raw}, **more)
    assert "keybearer-error" in answer.headers, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == answer.headers["keybearer-error"]
    assert problem["detail"].endswith(".")
    assert not re.search("kbg_[0-9A-Za-z]", answer.text)
    return answer.status_code, problem["code"]


async def test_strangers_are_refused_and_leave_no_trace_at_the_provider(world, grant, sandboxed, subtests):
    unknown = tokens.new(tokens.GRANT)
    for name, header, expected in (
        ("nothing", None, (401, "grant_missing")),
        ("empty", "", (401, "grant_missing")),
        ("basic", "Basic a2JnOng=", (401, "grant_missing")),
        ("no grant", "Bearer something", (401, "grant_missing")),
        ("a session", f"Bearer {tokens.new(tokens.SESSION)}", (401, "grant_missing")),
        ("wrong checksum", f"Bearer {grant[:-1]}!", (401, "grant_missing")),
        ("unknown", f"Bearer {unknown}", (401, "grant_ended")),
    ):
        with subtests.test(name):
            headers = {"Authorization": header} if header is not None else {}
            assert await refused(world, None, headers=headers) == expected
    assert sandboxed.stats()["spotify"]["me"] == 0
    assert await world.ledger("proxy.denied") == [], "nobody is known whose ledger it would be in"


async def test_what_a_grant_does_not_cover_is_refused_and_recorded(world, grant, sandboxed, subtests):
    long = "x" * 501
    rows = (
        ("GET", "/nowhere/v1/me", {}, (404, "provider_unknown")),
        ("GET", "/google/gmail/v1/users/me/messages", {}, (403, "not_allowed")),
        ("GET", SPOTIFY, {"Keybearer-Connection": str(uuid4())}, (403, "not_allowed")),
        ("DELETE", "/github/repos/alice/hello-world", {}, (403, "not_allowed")),
        ("PUT", "/github/repos/alice/hello-world/pulls/1/merge", {}, (403, "approval_needed")),
        ("GET", "/spotify/v1/../v1/me", {}, (400, "path_refused")),
        ("GET", "/spotify/v1//me", {}, (400, "path_refused")),
        ("GET", "/spotify/v1%2fme", {}, (400, "path_refused")),
        ("GET", "/spotify/v1/%6de", {}, (400, "path_refused")),
        ("GET", "/spotify/v1/me;x", {}, (400, "path_refused")),
        ("GET", f"{SPOTIFY}?access_token=x", {}, (400, "query_refused")),
        ("GET", f"{SPOTIFY}?a=1&%6Bey=x", {}, (400, "query_refused")),
        ("GET", SPOTIFY, {"Upgrade": "websocket", "Connection": "upgrade"}, (422, "websocket_refused")),
    )
    for method, target, headers, expected in rows:
        with subtests.test(method=method, target=target):
            assert await refused(world, grant, method, target, headers) == expected
    denied = await world.ledger("proxy.denied")
    assert [(row["method"], row["code"]) for row in denied] == [(row[0], row[3][1]) for row in rows]
    assert {row["outcome"] for row in denied} == {"denied"}
    assert {row["actor_kind"] for row in denied} == {"agent"}
    for name, headers in (
        ("reason too long", {"Keybearer-Reason": long}),
        ("reason not text", {"Keybearer-Reason": b"\xff\xfe"}),
        ("connection no id", {"Keybearer-Connection": "7"}),
    ):
        with subtests.test(name):
            assert await refused(world, grant, headers=headers) == (400, "header_refused")
    stats = sandboxed.stats()
    assert (stats["spotify"]["me"], stats["github"]["repos"]) == (0, 0)


async def test_a_narrowed_grant_reaches_what_its_scopes_cover(world, sandboxed):
    token = sandboxed.tokens("spotify", "user-read-private user-read-playback-state")["access_token"]
    scopes = ("user-read-private", "user-read-playback-state")
    connection = await world.connect("spotify", token, scopes)
    grant = await world.grant(connection, scopes=["user-read-private"])
    async with world.client(grant) as client:
        assert (await client.get(SPOTIFY)).status_code == 200
        assert (await client.get("/spotify/v1/search", params={"q": "x", "type": "track"})).status_code == 200
    assert await refused(world, grant, target="/spotify/v1/me/player") == (403, "not_allowed")
    assert await refused(world, grant, target="/spotify/v1/echo") == (403, "not_allowed"), "no rule names its scope"


async def test_two_accounts_of_one_provider_need_a_choice(world, sandboxed):
    first = await world.connect("spotify", sandboxed.tokens("spotify", account="alice@example.com")["access_token"])
    second = await world.connect("spotify", sandboxed.tokens("spotify", account="bob@example.com")["access_token"])
    grant = await world.grant(first, second)
    async with world.client(grant) as client:
        answer = await client.get(SPOTIFY)
        assert (answer.status_code, answer.json()["code"]) == (409, "connection_ambiguous")
        assert set(answer.json()["connections"]) == {str(first), str(second)}
        for connection, name in ((first, "Alice"), (second, "Bob")):
            chosen = await client.get(SPOTIFY, headers={"Keybearer-Connection": str(connection)})
            assert chosen.json()["display_name"].startswith(name)


async def test_an_ended_grant_is_refused_at_once(world, grant):
    async with world.client(grant) as client:
        assert (await client.get(SPOTIFY)).status_code == 200
        live = await world.grants.list_live(world.principal)
        await world.grants.revoke(world.principal, live[0][0].id)
        async with asyncio.timeout(1):
            while (answer := await client.get(SPOTIFY)).status_code == 200:
                pass
    assert (answer.status_code, answer.headers["keybearer-error"]) == (401, "grant_ended")


async def test_what_the_vault_refuses_reaches_the_agent_and_the_ledger(world, grant, subtests):
    for error, expected, outcome in (
        (
            Conflict("needs_reconnect", "Reconnect it.", extra={"provider": "spotify"}),
            (409, "needs_reconnect"),
            "denied",
        ),
        (Unavailable("refresh_in_progress", "Wait.", retry_after=1), (503, "refresh_in_progress"), "failed"),
    ):
        with subtests.test(error.code):
            world.vault.refusal = error
            assert await refused(world, grant) == expected
            assert [(row["code"], row["outcome"]) for row in await world.ledger("proxy.denied")][-1] == (
                error.code,
                outcome,
            )
    assert await world.ledger("proxy.call") == [], "no call was made"


async def test_a_refresh_that_ends_in_a_reconnection_says_so(world, grant, sandboxed):
    """The provider's 401 alone would tell the agent nothing that it can act on."""
    sandboxed.control("spotify", "reject_access_token")
    connection = next(one for one in world.vault.connections.values() if one.provider == "spotify")

    async def refresh_now(*_, **__):
        raise Conflict("needs_reconnect", "Reconnect it.")

    world.vault.refresh_now = refresh_now
    assert await refused(world, grant) == (409, "needs_reconnect")
    finished = await world.ledger("proxy.finished")
    assert [(row["outcome"], row["code"]) for row in finished] == [("failed", "needs_reconnect")]
    assert finished[0]["connection_id"] == connection.id


async def test_a_private_address_is_refused_unless_the_installation_allows_it(world, upstream):
    grant = await world.grant(await world.connect("private", "sbx_any"))
    assert await refused(world, grant, target="/private/v1/me") == (403, "address_refused")
    assert upstream.received == []


async def test_a_body_over_the_limit_is_refused_declared_or_not(world, grant, sandboxed):
    async def pieces():
        for _ in range(100):
            yield b"z" * 65_536

    limit = 3 * 1024 * 1024
    assert await refused(world, grant, "POST", "/spotify/v1/upload", content=b"z" * (limit + 1)) == (
        413,
        "body_too_large",
    )
    assert await world.ledger("proxy.call") == [], "a declared length is refused before anything is sent"
    assert await refused(world, grant, "POST", "/spotify/v1/upload", content=pieces()) == (413, "body_too_large")
    finished = await world.ledger("proxy.finished")
    assert [(row["outcome"], row["code"]) for row in finished] == [("failed", "body_too_large")]


async def test_a_call_that_cannot_be_recorded_is_not_made(world, grant, sandboxed):
    await world.calls.stop()

    async def started(*_):
        raise Unavailable("ledger_busy", "Calls cannot be recorded.", retry_after=1)

    world.calls.started = started
    assert await refused(world, grant) == (503, "ledger_busy")
    assert sandboxed.stats()["spotify"]["me"] == 0


async def test_a_disabled_person_has_no_agents(world, grant):
    async with world.db.transaction(world.principal.tenant_id) as tx:
        await tx.execute(text("UPDATE users SET disabled_at = now()"))
    assert await refused(world, grant) == (401, "grant_ended")
