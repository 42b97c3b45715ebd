"""The wire: shapes, statuses, and bodies that are not what they should be."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI, Request
from keybearer.grants.routes import routes
from keybearer.http import problems
from keybearer.http.entry import Entry
from keybearer.kit.principal import Principal
from keybearer.providers import catalogue


class Known:
    def all(self):
        return list(catalogue.load(None).values())


class SignedIn:
    """Whoever says to be Alice is."""

    def __init__(self, alice: Principal) -> None:
        self._alice = alice

    async def authenticate(self, request: Request) -> Principal | None:
        return self._alice if request.headers.get("x-person") == "alice" else None


@pytest.fixture
async def client(desk) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    app.state.authenticator = SignedIn(desk.alice)
    problems.install(app)
    app.include_router(routes(desk.grants, Known()), prefix="/api")
    transport = httpx2.ASGITransport(app=Entry(app, secure=False))
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://keybearer.test", headers={"X-Person": "alice"}
    ) as client:
        yield client


async def test_a_grant_is_made_listed_and_revoked(client, desk):
    connection = await desk.connect("spotify", "user-read-private")
    wish = {"agent": "DJ", "providers": ["spotify"], "ttl_seconds": 600, "reason": "Party"}
    made = await client.post("/api/grants", json=wish)
    assert made.status_code == 201
    body = made.json()
    shown = {
        "id": str(connection),
        "provider": "spotify",
        "title": "Spotify",
        "icon": "spotify",
        "account": "alice",
        "state": "active",
    }
    assert body["grant"].startswith("kbg_")
    assert body.keys() == {"id", "grant", "agent", "expires_at", "connections"}
    assert body["connections"] == [shown]
    listed = (await client.get("/api/grants")).json()
    assert listed["next"] is None
    (item,) = listed["items"]
    assert item.keys() == {
        "id", "agent", "connections", "scopes", "reason", "created_at", "expires_at", "last_used_at",
    }  # fmt: skip
    assert (item["id"], item["connections"], item["scopes"]) == (body["id"], [shown], None)
    assert "kbg_" not in str(listed)
    assert (await client.delete(f"/api/grants/{body['id']}")).status_code == 204
    assert (await client.delete(f"/api/grants/{body['id']}")).json()["code"] == "grant_not_found"
    assert (await client.get("/api/grants")).json()["items"] == []


async def test_pages_lead_to_each_other(client, desk):
    await desk.connect("spotify")
    given = [(await desk.give(*desk.held.all))[0] for _ in range(3)]
    first = (await client.get("/api/grants", params={"limit": 2})).json()
    second = (await client.get("/api/grants", params={"limit": 2, "after": first["next"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == [str(each) for each in given[::-1]]
    assert second["next"] is None


async def test_two_accounts_are_named_so_that_one_can_be_chosen(client, desk):
    first, second = await desk.connect("spotify", name="alice"), await desk.connect("spotify", name="work")
    answer = await client.post("/api/grants", json={"agent": "DJ", "providers": ["spotify"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "connection_ambiguous")
    assert answer.json()["connections"] == [
        {"id": str(first), "provider": "spotify", "account": "alice"},
        {"id": str(second), "provider": "spotify", "account": "work"},
    ]


async def test_strangers_are_asked_to_sign_in(client):
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{uuid4()}")):
        answer = await client.request(method, f"/api/grants{path}", json={"agent": "DJ"}, headers={"X-Person": ""})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), method


async def test_bodies_that_are_not_a_wish_are_refused_by_name(client, desk, subtests):
    await desk.connect("spotify", "play")
    good = {"agent": "DJ", "providers": ["spotify"]}
    for body, status, code in (
        ({}, 422, "request_invalid"),
        ({**good, "agent": 7}, 422, "request_invalid"),
        ({**good, "agent": "D\u0000J"}, 422, "request_invalid"),
        ({**good, "agent": "\ud800"}, 422, "request_invalid"),
        ({**good, "ttl_seconds": 59}, 422, "request_invalid"),
        ({**good, "ttl_seconds": 10**30}, 422, "request_invalid"),
        ({**good, "ttl_seconds": "3600"}, 422, "request_invalid"),
        ({**good, "ttl_seconds": True}, 422, "request_invalid"),
        ({**good, "reason": "a\nb"}, 422, "request_invalid"),
        ({**good, "scopes": "play"}, 422, "request_invalid"),
        ({**good, "scopes": ["\u0000"]}, 422, "scope_not_granted"),
        ({**good, "admin": True}, 422, "request_invalid"),
        ({"agent": "DJ"}, 422, "request_invalid"),
        ({"agent": "DJ", "connections": ["7"]}, 422, "request_invalid"),
        ({"agent": "DJ", "connections": [str(uuid4())]}, 404, "connection_not_found"),
        ({"agent": "DJ", "providers": ["\ud800\u0000"]}, 404, "connection_not_found"),
    ):
        with subtests.test(body=str(body)):
            answer = await client.post(
                "/api/grants", content=json.dumps(body), headers={"Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await desk.rows("SELECT 1 FROM grants") == []
