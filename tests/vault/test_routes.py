"""The vault over HTTP: shapes, statuses, and that no token leaves through here."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from keybearer.http import problems
from keybearer.http.principal import current_principal
from keybearer.kit.errors import ReauthenticationNeeded
from keybearer.vault.routes import routes


@pytest.fixture
async def client(world, vault) -> AsyncIterator[httpx2.AsyncClient]:
    async def agents_of(tx, tenant_id, user_id):
        return {row["id"]: ["DJ"] for row in await world.sql("SELECT id FROM connections WHERE account_id = 'alice'")}

    async def end_grants(tx, tenant_id, connection_id):
        return 3

    async def require_proof(principal):
        if not world.proved:
            raise ReauthenticationNeeded("reauthenticate", "Show that it is you.")

    app = FastAPI()
    problems.install(app)
    app.include_router(routes(vault, world.upstream, agents_of, end_grants, require_proof), prefix="/api")
    app.dependency_overrides[current_principal] = lambda: world.principal
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_the_list(world, vault, client) -> None:
    connection = await world.connect(vault, expires_in=3600.0)
    await world.connect(vault, account="bob", expires_in=None)
    answer = await client.get("/api/connections")
    assert answer.status_code == 200
    first, second = answer.json()["items"]
    assert first["id"] == str(connection.id)
    assert first["account"] == "Alice"
    assert (first["provider"], first["title"], first["state"], first["agents"]) == ("acme", "Acme", "active", ["DJ"])
    assert (second["access_expires_at"], second["agents"]) == (None, [])
    assert not {"access-0", "refresh-0"} & set(answer.text.split('"'))


async def test_pages(world, vault, client) -> None:
    made = [await world.connect(vault, account=str(n)) for n in range(5)]
    seen, after = [], None
    while True:
        page = (await client.get("/api/connections", params={"limit": 2, **({"after": after} if after else {})})).json()
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [str(connection.id) for connection in made]


async def test_a_provider_that_was_removed_does_not_break_the_list(world, vault, client) -> None:
    await world.connect(vault)
    await world.sql("UPDATE connections SET provider = 'gone'")
    item = (await client.get("/api/connections")).json()["items"][0]
    assert (item["title"], item["icon"]) == ("gone", None)


async def test_typing_a_secret(world, client) -> None:
    answer = await client.post("/api/connections/keyed", json={"fields": {"key": "planted"}})
    assert answer.status_code == 201
    assert "planted" not in answer.text
    refused = await client.post("/api/connections/keyed", json={"fields": {"key": ""}})
    assert (refused.status_code, refused.json()["code"]) == (422, "request_invalid")


async def test_refreshing_now(world, vault, client) -> None:
    connection = await world.connect(vault, expires_in=3600.0)
    world.upstream.expires_in = 7200.0
    answer = await client.post(f"/api/connections/{connection.id}/refresh")
    assert answer.status_code == 200
    assert answer.json()["access_expires_at"] > (await client.get("/api/connections")).json()["items"][0]["created_at"]
    assert "access-1" not in answer.text
    world.upstream.script = ["invalid_grant"] * 2
    dead = await client.post(f"/api/connections/{connection.id}/refresh")
    assert (dead.status_code, dead.json()["code"]) == (409, "needs_reconnect")
    assert dead.json()["reconnect_path"] == f"/connections/{connection.id}"
    assert dead.json()["provider"] == "acme"


async def test_a_provider_in_trouble_is_503_with_retry_after(world, vault, client) -> None:
    connection = await world.connect(vault)
    world.upstream.script, world.upstream.retry_after = ["transient"], 9.0
    answer = await client.post(f"/api/connections/{connection.id}/refresh")
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
    assert answer.headers["retry-after"] == "9"


async def test_a_token_is_taken_out_where_the_policy_and_a_proof_allow_it(world, vault, client) -> None:
    shut = await world.connect(vault)
    open_ = await world.connect(vault, provider="open", expires_in=3600.0)
    path = "/api/connections/{}/token"
    refused = await client.post(path.format(shut.id))
    assert (refused.status_code, refused.json()["code"]) == (403, "raw_token_off"), "before a proof is asked for"
    unproved = await client.post(path.format(open_.id))
    assert (unproved.status_code, unproved.json()["code"]) == (403, "reauthenticate")
    world.proved = True
    answer = await client.post(path.format(open_.id))
    assert answer.status_code == 200
    assert answer.json()["access_token"] == "access-0"
    assert "refresh" not in answer.text
    assert answer.json()["token_type"] == "Bearer"
    assert [row["action"] for row in await world.sql("SELECT action FROM ledger ORDER BY id DESC LIMIT 1")] == [
        "connection.token_revealed"
    ]
    still = await client.post(path.format(shut.id))
    assert still.json()["code"] == "raw_token_off"


async def test_an_expired_token_is_refreshed_before_it_is_taken_out(world, vault, client) -> None:
    world.proved = True
    connection = await world.connect(vault, provider="open", expires_in=1.0)
    answer = await client.post(f"/api/connections/{connection.id}/token")
    assert answer.json()["access_token"] == "access-1"


async def test_what_was_typed_is_not_taken_out(world, vault, client) -> None:
    world.proved = True
    typed = (await client.post("/api/connections/keyed", json={"fields": {"key": "planted"}})).json()["id"]
    answer = await client.post(f"/api/connections/{typed}/token")
    assert (answer.status_code, answer.json()["code"]) == (403, "raw_token_off")
    assert "planted" not in answer.text


async def test_disconnecting(world, vault, client) -> None:
    connection = await world.connect(vault)
    answer = await client.delete(f"/api/connections/{connection.id}")
    assert (answer.status_code, answer.json()) == (200, {"revoked_upstream": True, "grants_ended": 3})
    for method, path in (("DELETE", ""), ("POST", "/refresh")):
        gone = await client.request(method, f"/api/connections/{connection.id}{path}")
        assert (gone.status_code, gone.json()["code"]) == (404, "connection_not_found")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/connections/none", None),
        ("POST", "/api/connections/none/refresh", None),
        ("GET", "/api/connections?limit=0", None),
        ("GET", "/api/connections?after=x", None),
        ("POST", "/api/connections/keyed", {"fields": {"key": 1}}),
        ("POST", "/api/connections/keyed", {"fields": {"key": "a"}, "more": 1}),
        ("POST", "/api/connections/keyed", {"fields": {f"f{n}": "" for n in range(17)}}),
        ("POST", "/api/connections/acme", {"fields": {}}),
    ],
)
async def test_bad_input(client, method, path, body) -> None:
    answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


async def test_unknown_ids(world, client) -> None:
    world.proved = True
    for method, path in (("DELETE", ""), ("POST", "/refresh"), ("POST", "/token")):
        answer = await client.request(method, f"/api/connections/{uuid4()}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "connection_not_found")
