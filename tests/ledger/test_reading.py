"""What people see of the ledger, and what they do not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from keybearer.http import problems
from keybearer.keys.envelope import Owner
from keybearer.kit.principal import Principal
from keybearer.ledger.calls import CallWriter
from keybearer.ledger.model import Entry, outcome_now
from keybearer.ledger.reading import Reading, cursor, read_cursor
from keybearer.ledger.routes import routes

TENANT = UUID("00000000-0000-7000-8000-000000000001")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def principal(user_id: UUID, role: str = "member", tenant_id: UUID = TENANT) -> Principal:
    return Principal(
        tenant_id=tenant_id,
        user_id=user_id,
        session_id=uuid4(),
        email=None,
        name="Alice",
        avatar_url=None,
        role=role,
        tenant_name="Default",
        expires_at=NOW,
        authenticated_at=NOW,
    )


class Door:
    """Signs in whoever it is told."""

    def __init__(self, who: Principal) -> None:
        self.who = who

    async def authenticate(self, _request: object) -> Principal:
        return self.who


@pytest.fixture
def door(person: UUID) -> Door:
    return Door(principal(person))


@pytest.fixture
async def http(db, keys, door: Door) -> AsyncIterator[httpx2.AsyncClient]:
    async def names(_tx, _tenant, user_ids):
        return dict.fromkeys(user_ids, "Bob")

    app = FastAPI()
    app.state.authenticator = door
    problems.install(app)
    app.include_router(routes(Reading(db, keys, names)), prefix="/api")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://kb") as client:
        yield client


@pytest.fixture
def add(ledger, db, person):
    async def add(action: str = "sign_in", **members: object) -> None:
        async with db.transaction(TENANT) as tx:
            await ledger.record(tx, Entry(**{"tenant_id": TENANT, "user_id": person, "action": action, **members}))

    return add


async def read(http: httpx2.AsyncClient, **query: object) -> list[dict]:
    answer = await http.get("/api/ledger", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_an_entry_is_told_with_its_detail_opened(http, add, person, sealer) -> None:
    connection = uuid4()
    await add("connection.created", connection_id=connection, provider="spotify", detail={"account": "alice", "n": 1})
    (item,) = await read(http)
    assert item["actor"] == {"kind": "person", "id": str(person), "name": "Alice"}
    assert item["connection"] == {"id": str(connection), "account": "alice"}
    assert item["detail"] == {"account": "alice", "n": 1}
    assert (item["sealed"], item["batch"]) == (False, None)
    await sealer.run()
    (item,) = await read(http)
    assert (item["sealed"], item["batch"]) == (True, 1)
    assert (await http.get(f"/api/ledger/{item['id']}")).json() == item


async def test_after_an_erasure_the_entry_stays_without_its_detail(http, add, db, keys, person) -> None:
    await add("sign_in", detail={"address": "192.0.2.1", "device": "Firefox"})
    async with db.transaction(TENANT) as tx:
        await keys.destroy(tx, Owner.user(TENANT, person))
        await keys.ensure(tx, Owner.user(TENANT, person))  # a new key opens nothing old
    (item,) = await read(http)
    assert (item["action"], item["detail"], item["address"]) == ("sign_in", None, None)


async def test_a_ciphertext_moved_from_another_row_does_not_open(http, add, superuser) -> None:
    await add("sign_in", detail={"device": "Firefox"})
    await add("sign_in", detail={"device": "Chrome"})
    await superuser.execute("UPDATE ledger SET detail = (SELECT detail FROM ledger ORDER BY id LIMIT 1)")
    assert [item["detail"] for item in await read(http)] == [None, {"device": "Firefox"}]


async def test_a_call_is_one_item_with_its_end(http, db, keys, person, key) -> None:
    writer = CallWriter(db, keys)
    await writer.start()
    started = Entry(
        tenant_id=TENANT,
        action="proxy.call",
        outcome="pending",
        actor_kind="agent",
        user_id=person,
        grant_id=uuid4(),
        call_id=uuid4(),
        provider="spotify",
        method="PUT",
        detail={"agent": "DJ", "path": "/v1/me/player/play", "reason": "Play Despacito"},
    )
    await writer.started(started, key)
    (item,) = await read(http)
    assert (item["outcome"], item["status"]) == ("pending", None)
    ended = Entry(
        tenant_id=TENANT,
        action="proxy.finished",
        outcome="failed",
        actor_kind="agent",
        user_id=person,
        call_id=started.call_id,
        status=404,
        duration_ms=12,
        code="no_device",
        detail={"bytes": 17},
    )
    writer.finished(ended, key)
    await writer.stop()
    (item,) = await read(http, action="proxy")
    assert (item["action"], item["outcome"], item["status"], item["duration_ms"]) == ("proxy.call", "failed", 404, 12)
    assert (item["path"], item["reason"], item["code"]) == ("/v1/me/player/play", "Play Despacito", "no_device")
    assert item["actor"] == {"kind": "agent", "id": str(started.grant_id), "name": "DJ"}
    assert item["detail"] == {"agent": "DJ", "bytes": 17}


@pytest.mark.parametrize(
    ("action", "outcome", "minutes", "expected"),
    [
        ("proxy.call", "pending", 14, "pending"),
        ("proxy.call", "pending", 16, "unknown"),
        ("proxy.call", "ok", 16, "ok"),
        ("connection.created", "pending", 16, "pending"),
    ],
)
def test_a_call_without_an_end_becomes_unknown(action: str, outcome: str, minutes: int, expected: str) -> None:
    assert outcome_now(action, outcome, NOW - timedelta(minutes=minutes), NOW) == expected


async def test_members_see_their_own_and_admins_their_tenants(http, add, door, person, other_tenant) -> None:
    other = uuid4()
    await add("sign_in")
    await add("sign_out", user_id=other)
    await add("sign_in.failed", user_id=None, actor_kind="person")
    assert [item["action"] for item in await read(http)] == ["sign_in"]
    assert [item["action"] for item in await read(http, person=person)] == ["sign_in"]
    refused = await http.get("/api/ledger", params={"person": str(other)})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_admin")
    door.who = principal(person, "admin")
    items = await read(http)
    assert [item["action"] for item in items] == ["sign_in.failed", "sign_out", "sign_in"]
    assert [item["actor"]["name"] for item in items] == [None, "Bob", "Alice"]
    assert [item["action"] for item in await read(http, person=other)] == ["sign_out"]
    door.who = principal(person, "admin", other_tenant)
    assert await read(http) == []
    assert (await http.get(f"/api/ledger/{items[0]['id']}")).status_code == 404


async def test_another_persons_entry_is_not_found(http, add) -> None:
    await add("sign_out", user_id=uuid4())
    assert (await http.get("/api/ledger/1")).json()["code"] == "entry_not_found"


async def test_an_id_that_cannot_be_is_not_found(http) -> None:
    for entry in ("0", "-1", "x", "9" * 19, "9" * 30, "٣", "1.5", "%00", "1e3"):
        answer = await http.get(f"/api/ledger/{entry}")
        assert (answer.status_code, answer.json()["code"]) == (404, "entry_not_found"), entry


async def test_filters(http, add) -> None:
    connection = uuid4()
    await add("sign_in")
    await add("sign_in.failed", outcome="failed")
    await add("sign_in_else")
    await add("connection.created", provider="spotify", connection_id=connection)

    async def actions(**query: object) -> list[str]:
        return [item["action"] for item in await read(http, **query)]

    assert await actions(action="sign_in") == ["sign_in.failed", "sign_in"]
    assert await actions(action="sign_in.*") == ["sign_in.failed", "sign_in"]
    assert await actions(action="sign_in.failed") == ["sign_in.failed"]
    assert await actions(provider="spotify") == ["connection.created"]
    assert await actions(connection=connection) == ["connection.created"]
    assert await actions(provider="spotify", action="sign_in") == []
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert await actions(**{"from": tomorrow}) == []
    assert len(await actions(to=tomorrow)) == 4


async def test_pages_follow_each_other_without_gap_or_repetition(http, add) -> None:
    for number in range(7):
        await add("sign_in", status=number)
    seen, after = [], None
    while True:
        answer = (await http.get("/api/ledger", params={"limit": 3} | ({"after": after} if after else {}))).json()
        seen += [item["status"] for item in answer["items"]]
        after = answer["next"]
        if after is None:
            break
        await add("sign_in", status=99)  # newer entries do not disturb the pages after
    assert seen == [6, 5, 4, 3, 2, 1, 0]


BAD_QUERIES = [
    "limit=0",
    "limit=201",
    "limit=x",
    "after=x",
    "after=%C3%BC",
    "after=" + cursor(10**20),
    "after=bm9wZQ",
    "action=a%00b",
    "action=%25",
    "action=A",
    "provider=a%00b",
    "provider=",
    "connection=x",
    "person=x",
    "from=yesterday",
    "from=0001-01-01T00:00:00%2B14:00",
    "to=9999-12-31T23:59:59-14:00",
]


async def test_bad_values_are_refused(http) -> None:
    for query in BAD_QUERIES:
        answer = await http.get(f"/api/ledger?{query}")
        assert (answer.status_code, answer.json().get("code")) == (422, "request_invalid"), query


async def test_extreme_times_are_understood(http) -> None:
    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59", "2026-11-23", "0"):
        for name in ("from", "to"):
            assert (await http.get("/api/ledger", params={name: at})).status_code == 200, at


@pytest.mark.parametrize("number", [1, 2**63 - 1])
def test_cursors_survive_the_journey(number: int) -> None:
    assert read_cursor(cursor(number)) == number


async def test_the_checkpoint_is_the_newest_batch(http, add, sealer, signers) -> None:
    missing = await http.get("/api/ledger/checkpoint")
    assert (missing.status_code, missing.json()["code"]) == (404, "checkpoint_not_found")
    await add()
    await sealer.run()
    found = (await http.get("/api/ledger/checkpoint")).json()
    assert (found["no"], found["era"], found["count"], found["key_id"]) == (1, 1, 1, "s1")
    assert signers.verify("s1", bytes.fromhex(found["signature"]), bytes.fromhex(found["hash"]))
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found["sealed_at"])) < timedelta(minutes=1)
