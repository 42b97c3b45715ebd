"""What goes to the provider and what comes back."""

import hashlib
import json

import pytest

SCOPES = "user-read-private user-read-playback-state"
ODD_ANSWER_HEADERS = {
    "set-cookie", "clear-site-data", "strict-transport-security", "access-control-allow-origin",
    "access-control-allow-credentials", "keybearer-error",
}  # fmt: skip


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
async def token(sandboxed) -> str:
    return sandboxed.tokens("spotify", SCOPES)["access_token"]


@pytest.fixture
async def connection(world, token):
    return await world.connect("spotify", token)


@pytest.fixture
async def grant(world, connection) -> str:
    return await world.grant(connection)


async def test_the_agent_gets_the_answer_and_the_provider_gets_the_persons_token(world, grant, token):
    async with world.client(grant) as client:
        answer = await client.get("/spotify/v1/echo", headers={"Accept-Language": "pt", "X-Spy": "1", "Cookie": "a=b"})
    echo = answer.json()
    sent = dict(echo["headers"])
    assert answer.status_code == 200
    assert sent["authorization"] == f"Bearer sha256:{sha256(token)}"
    assert sent["accept-language"] == "pt"
    assert sent["user-agent"] == "keybearer"
    assert not {"x-spy", "cookie", "keybearer-reason"} & sent.keys()
    assert grant not in answer.text
    assert token not in answer.text


async def test_clients_that_say_token_work_too(world, grant):
    async with world.client(None) as client:
        for scheme in ("Bearer", "bearer", "token"):
            answer = await client.get("/spotify/v1/me", headers={"Authorization": f"{scheme} {grant}"})
            assert answer.json()["display_name"], scheme


async def test_the_bytes_of_path_and_query_arrive_unchanged(world, grant, subtests):
    for target in (
        "v1/echo/a%20b",
        "v1/echo/caf%C3%A9",
        "v1/echo/a+b:c@d,e=f",
        "v1/echo/100%25",
        "v1/echo/",
        "v1/echo/x?q=a%20b&q=c+d&%71=%2F",
        "v1/echo/x?",
    ):
        with subtests.test(target=target):
            async with world.client(grant) as client:
                answer = await client.get("/", extensions={"target": f"/api/proxy/spotify/{target}".encode()})
            path, _, query = target.partition("?")
            assert answer.status_code == 200, answer.text
            assert answer.json()["path"] == f"/spotify/{path}"
            assert answer.json()["query"] == query


async def test_headers_of_the_provider_that_would_act_on_our_origin_stay_behind(world, grant):
    async with world.client(grant) as client:
        answer = await client.get("/spotify/v1/echo")
    assert not ODD_ANSWER_HEADERS & answer.headers.keys()
    assert answer.headers["etag"] == '"sandbox"'
    assert answer.headers.get_list("content-security-policy") == ["sandbox"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_every_method_is_carried(world, grant):
    async with world.client(grant) as client:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = await client.request(method, "/spotify/v1/echo")
            assert answer.json()["method"] == method


async def test_a_head_answer_has_a_length_and_no_body(world, grant):
    async with world.client(grant) as client:
        answer = await client.head("/spotify/v1/me")
        again = await client.get("/spotify/v1/me")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(again.content)


async def test_an_answer_without_content_keeps_the_connection_usable(world, grant):
    async with world.client(grant) as client:
        for _ in range(3):
            assert (await client.get("/spotify/v1/me/player")).status_code == 204
        assert (await client.get("/spotify/v1/me")).status_code == 200


async def test_redirects_are_handed_over_and_not_followed(world, grant, sandboxed):
    async with world.client(grant) as client:
        answer = await client.get("/spotify/v1/redirect", params={"to": f"{sandboxed.url}/stats", "status": "307"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{sandboxed.url}/stats")


async def test_a_rate_limit_is_handed_over_with_its_waiting_time(world, grant, sandboxed):
    sandboxed.control("spotify", "rate_limited", operation="api", seconds=7)
    async with world.client(grant) as client:
        answer = await client.get("/spotify/v1/me")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert "keybearer-error" not in answer.headers


async def test_a_refused_token_is_refreshed_once_and_the_call_repeated_with_its_body(
    world, grant, connection, sandboxed
):
    world.vault.fresh[connection] = [sandboxed.tokens("spotify", "user-read-private")["access_token"]]
    sandboxed.control("spotify", "reject_access_token")
    async with world.client(grant) as client:
        answer = await client.post("/spotify/v1/upload", content=b"x" * 1000)
    assert answer.json() == {"bytes": 1000, "sha256": sha256("x" * 1000), "content_type": None}
    assert world.vault.refreshes == 1
    assert [row["status"] for row in await world.ledger("proxy.finished")] == [200]


async def test_a_refusal_with_nothing_to_refresh_is_the_providers_own_answer(world, grant, sandboxed):
    sandboxed.control("spotify", "reject_access_token")
    async with world.client(grant) as client:
        answer = await client.get("/spotify/v1/me")
    assert answer.status_code == 401
    assert "keybearer-error" not in answer.headers
    assert answer.json()["error"]["status"] == 401


async def test_a_call_that_is_refused_however_fresh_the_token_does_not_cause_refreshes_for_ever(
    world, grant, connection
):
    world.vault.fresh[connection] = ["sbx_wrong_1", "sbx_wrong_2", "sbx_wrong_3"]
    world.vault.credentials[connection] = await world.vault.refresh_now(
        world.principal.tenant_id, connection, seen_epoch=1
    )
    async with world.client(grant) as client:
        statuses = [(await client.get("/spotify/v1/me")).status_code for _ in range(4)]
    assert statuses == [401] * 4
    assert world.vault.refreshes == 2, "one by the test, one by the proxy"


async def test_a_body_too_big_to_hold_is_not_sent_twice(world, grant, connection, sandboxed):
    world.vault.fresh[connection] = [sandboxed.tokens("spotify", "user-read-private")["access_token"]]
    sandboxed.control("spotify", "reject_access_token")
    body = b"y" * (1024 * 1024 + 1)
    async with world.client(grant) as client:
        first = await client.post("/spotify/v1/upload", content=body)
        second = await client.post("/spotify/v1/upload", content=body)
    assert (first.status_code, world.vault.refreshes) == (401, 1)
    assert second.json()["bytes"] == len(body), "the refresh serves the agent's own next attempt"


async def test_bodies_arrive_whole(world, grant, subtests):
    async def pieces(body):
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    for size in (0, 1, 1024 * 1024, 2 * 1024 * 1024 + 7):
        body = (bytes(range(256)) * (size // 256 + 1))[:size]
        for chunked in (False, True):
            with subtests.test(size=size, chunked=chunked):
                async with world.client(grant) as client:
                    answer = await client.post("/spotify/v1/upload", content=pieces(body) if chunked else body)
                assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()


async def test_expecting_a_continue_does_no_harm(world, grant):
    async with world.client(grant) as client:
        answer = await client.put("/spotify/v1/upload", content=b"abc", headers={"Expect": "100-continue"})
    assert answer.json()["bytes"] == 3


async def test_a_stream_arrives_byte_for_byte(world, grant):
    size = 5 * 1024 * 1024 + 13
    digest, count = hashlib.sha256(), 0
    async with (
        world.client(grant) as client,
        client.stream("GET", "/spotify/v1/stream", params={"bytes": size}) as answer,
    ):
        async for piece in answer.aiter_raw():
            digest.update(piece)
            count += len(piece)
    expected = bytes(range(256)) * (size // 256 + 1)
    assert (count, digest.hexdigest()) == (size, hashlib.sha256(expected[:size]).hexdigest())


async def test_events_arrive_while_the_provider_still_speaks(world, grant):
    async with (
        world.client(grant) as client,
        client.stream("GET", "/spotify/v1/events", params={"count": 3, "interval_ms": 300}) as answer,
    ):
        lines = answer.aiter_lines()
        first = await anext(lines)
        assert first == "id: 1"
        assert answer.headers["content-type"].startswith("text/event-stream")
        rest = [line async for line in lines if line.startswith("id")]
    assert rest == ["id: 2", "id: 3"]


async def test_the_ledger_says_who_called_what_for_whom_and_why(world, connection):
    grant = await world.grant(connection)
    async with world.client(grant, Keybearer_Reason="Despacito für alle") as client:
        await client.get("/spotify/v1/me", params={"secret": "not-for-the-ledger"})
        await client.get("/spotify/v1/nothing-here")
    started = await world.ledger("proxy.call")
    finished = await world.ledger("proxy.finished")
    assert [(row["outcome"], row["method"], row["provider"]) for row in started] == [("pending", "GET", "spotify")] * 2
    assert [row["call_id"] for row in finished] == [row["call_id"] for row in started]
    assert [(row["outcome"], row["status"]) for row in finished] == [("ok", 200), ("failed", 404)]
    assert all(row["actor_kind"] == "agent" and row["user_id"] == world.principal.user_id for row in started)
    assert all(row["connection_id"] == connection for row in started)
    detail = await _opened(world, started[0])
    assert detail == {
        "agent": "DJ",
        "account": "alice",
        "path": "/v1/me",
        "reason": "Despacito für alle",
        "address": "127.0.0.1",
    }
    assert b"not-for-the-ledger" not in json.dumps(started, default=str).encode()


async def _opened(world, row) -> dict[str, object]:
    from keybearer.keys.envelope import Owner, Place

    owner = Owner.user(row["tenant_id"], row["user_id"])
    async with world.db.transaction(row["tenant_id"]) as tx:
        opened = await world.keys.open(tx, owner, Place("ledger", str(row["uid"]), "detail"), row["detail"])
    return json.loads(opened)


async def test_calls_are_counted_by_provider_and_end(world, grant):
    from keybearer.proxy.metrics import REQUESTS

    def counted(outcome: str) -> float:
        return REQUESTS.labels("spotify", outcome)._value.get()

    before = counted("ok"), counted("client_error"), counted("refused")
    async with world.client(grant) as client:
        await client.get("/spotify/v1/me")
        await client.get("/spotify/v1/nothing-here")
        await client.get("/spotify/v1/me?access_token=x")
    assert (counted("ok"), counted("client_error"), counted("refused")) == tuple(value + 1 for value in before)


async def test_a_kept_connection_that_died_does_not_fail_a_read(world, upstream):
    """The provider closes after each answer without saying so; the next read must not fail for it."""

    async def answer_and_die(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        if len(upstream.received) == 1:
            upstream.received.append(await reader.readuntil(b"\r\n\r\n"))

    upstream.script = answer_and_die
    grant = await world.grant(await world.connect("scripted", "sbx_any"))
    async with world.client(grant) as client:
        answers = [await client.get("/scripted/v1/me") for _ in range(2)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "ok")] * 2
    assert len(upstream.received) == 3, "the second call was sent on the dying connection, then on a new one"
