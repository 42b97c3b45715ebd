"""What a recorded entry becomes in the database."""

import asyncio
import json
from uuid import UUID, uuid4

import asyncpg
import pytest
import sqlalchemy
from keybearer.keys.envelope import Owner, WrappedKey
from keybearer.keys.service import Keys
from keybearer.kit import context
from keybearer.kit.context import RequestContext
from keybearer.kit.database import Database
from keybearer.kit.errors import Unavailable
from keybearer.ledger import record, store
from keybearer.ledger.calls import CallWriter
from keybearer.ledger.model import Entry

TENANT = UUID("00000000-0000-7000-8000-000000000001")


@pytest.fixture
async def writer(db: Database, keys: Keys):
    writer = CallWriter(db, keys)
    await writer.start()
    yield writer
    await writer.stop()


async def test_personal_detail_is_sealed_under_the_persons_key(ledger, db, keys, person, superuser) -> None:
    token = context.request.set(RequestContext("req_7", "203.0.113.9"))
    async with db.transaction(TENANT) as tx:
        await ledger.record(tx, Entry(tenant_id=TENANT, action="sign_in", user_id=person, detail={"device": "Firefox"}))
    context.request.reset(token)
    row = await superuser.fetchrow("SELECT * FROM ledger")
    assert (row["action"], row["outcome"], row["request_id"], row["user_id"]) == ("sign_in", "ok", "req_7", person)
    assert b"Firefox" not in row["detail"]
    async with db.transaction(TENANT) as tx:
        opened = await keys.open(tx, Owner.user(TENANT, person), record.place(row["uid"]), row["detail"])
    assert json.loads(opened) == {"device": "Firefox", "address": "203.0.113.9"}


async def test_late_news_of_an_erased_person_makes_no_key(ledger, db, keys, superuser) -> None:
    stranger = uuid4()
    async with db.transaction(TENANT) as tx:
        entry = Entry(tenant_id=TENANT, action="connection.refreshed", user_id=stranger, detail={"account": "alice"})
        await ledger.record(tx, entry)
        assert await keys.find(tx, Owner.user(TENANT, stranger)) is None
    row = await superuser.fetchrow("SELECT user_id, detail, dek_id FROM ledger")
    assert tuple(row) == (stranger, None, None)


async def test_without_a_person_the_tenants_key_seals(ledger, db, keys, superuser) -> None:
    entry = Entry(tenant_id=TENANT, action="sign_in.failed", outcome="failed", detail={"address": "192.0.2.1"})
    async with db.transaction(TENANT) as tx:
        await ledger.record(tx, entry)
    row = await superuser.fetchrow("SELECT uid, detail FROM ledger")
    async with db.transaction(TENANT) as tx:
        opened = await keys.open(tx, Owner.tenant(TENANT), record.place(row["uid"]), row["detail"])
    assert json.loads(opened) == {"address": "192.0.2.1"}


async def test_a_transaction_that_fails_leaves_no_entry(ledger, db, person, superuser) -> None:
    async def fail_after_recording() -> None:
        async with db.transaction(TENANT) as tx:
            await ledger.record(tx, Entry(tenant_id=TENANT, action="grant.created", user_id=person))
            raise LookupError

    with pytest.raises(LookupError):
        await fail_after_recording()
    assert await superuser.fetchval("SELECT count(*) FROM ledger") == 0


async def test_row_level_security_refuses_another_tenants_entry(ledger, db, other_tenant) -> None:
    with pytest.raises(sqlalchemy.exc.ProgrammingError, match="row-level security"):
        async with db.transaction(TENANT) as tx:
            await ledger.record(tx, Entry(tenant_id=other_tenant, action="sign_in"))


async def test_the_application_cannot_choose_a_place_in_the_chain(db: Database) -> None:
    async def insert(column: str, value: str) -> None:
        async with db.transaction(TENANT) as tx:
            await tx.execute(
                sqlalchemy.text(
                    f"INSERT INTO ledger (tenant_id, uid, action, outcome, actor_kind, {column}) "
                    f"VALUES ('{TENANT}', gen_random_uuid(), 'x', 'ok', 'system', {value})"
                )
            )

    for column, value in {"xid": "'3'::xid8", "era": "1", "at": "now()"}.items():
        with pytest.raises(sqlalchemy.exc.ProgrammingError, match="permission denied"):
            await insert(column, value)


async def test_hostile_texts_are_stored_harmless(ledger, db, person, superuser) -> None:
    for hostile in ("a\x00b", "lone \ud800 surrogate", "x" * 100_000):
        entry = Entry(tenant_id=TENANT, action="proxy.denied", user_id=person, method=hostile, detail={"path": hostile})
        async with db.transaction(TENANT) as tx:
            await ledger.record(tx, entry)
    assert await superuser.fetch("SELECT method FROM ledger ORDER BY id") == [
        ("a\ufffdb",),
        ("lone ? surrogate",),
        ("x" * 4096,),
    ]


async def test_an_acknowledged_call_is_committed(writer: CallWriter, person, key: WrappedKey, superuser) -> None:
    await writer.started(call(person), key)
    assert await superuser.fetchval("SELECT count(*) FROM ledger WHERE outcome = 'pending'") == 1


async def test_calls_that_gather_share_a_transaction_and_keep_their_tenant(
    writer: CallWriter, db, keys, person, key, superuser, other_tenant
) -> None:
    async with db.transaction(other_tenant) as tx:
        other_key = await keys.ensure(tx, Owner.user(other_tenant, person))
    calls = [writer.started(call(person), key) for _ in range(50)]
    calls += [writer.started(call(person, other_tenant), other_key) for _ in range(50)]
    await asyncio.gather(*calls)
    rows = await superuser.fetch("SELECT tenant_id, count(*) AS n FROM ledger GROUP BY 1")
    assert {row["tenant_id"]: row["n"] for row in rows} == {TENANT: 50, other_tenant: 50}
    assert await superuser.fetchval("SELECT count(DISTINCT xid) FROM ledger") <= 3


async def test_a_start_written_twice_is_there_once(db: Database, keys, person, key, superuser) -> None:
    row = record.row_of(call(person), keys, key)
    await store.append_calls(db, [row])
    await store.append_calls(db, [row])  # as after an answer that was lost
    assert await superuser.fetchval("SELECT count(*) FROM ledger") == 1


async def test_calls_leave_no_tenant_behind_on_their_connection(database, keys, person, key, superuser) -> None:
    db = Database(database.url, pool_size=1)
    await store.append_calls(db, [record.row_of(call(person), keys, key)])
    async with db.transaction(None) as tx:
        assert (await tx.execute(sqlalchemy.text("SELECT count(*) FROM ledger"))).scalar() == 0
    await db.close()
    assert await superuser.fetchval("SELECT count(*) FROM ledger") == 1


async def test_ends_are_written_soon_and_at_stop(db, keys, person, key, superuser) -> None:
    writer = CallWriter(db, keys)
    await writer.start()
    started = call(person)
    await writer.started(started, key)
    writer.finished(end(started), key)
    await writer.stop()
    row = await superuser.fetchrow("SELECT * FROM ledger WHERE action = 'proxy.finished'")
    assert (row["outcome"], row["status"], row["call_id"]) == ("ok", 204, started.call_id)


async def test_an_end_written_twice_is_there_once(writer: CallWriter, db, keys, person, key, superuser) -> None:
    started = call(person)
    await writer.started(started, key)
    writer.finished(end(started), key)
    writer.finished(end(started), key)
    await writer.stop()
    assert await superuser.fetchval("SELECT count(*) FROM ledger WHERE action = 'proxy.finished'") == 1


async def test_a_call_that_cannot_be_stored_refuses_itself_alone(writer, person, key, superuser) -> None:
    nowhere = call(person, uuid4())  # no such tenant
    object.__setattr__(nowhere, "detail", {})
    answers = await asyncio.gather(
        writer.started(call(person), key),
        writer.started(nowhere, key),
        writer.started(call(person), key),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), asyncpg.ForeignKeyViolationError, type(None)]
    assert await superuser.fetchval("SELECT count(*) FROM ledger") == 2


async def test_a_full_backlog_refuses_before_the_call_leaves(db, keys, person, key) -> None:
    writer = CallWriter(db, keys, capacity=2)
    started = call(person)
    writer.finished(end(started), key)
    writer.finished(end(started), key)
    with pytest.raises(Unavailable, match="ledger_busy"):
        await writer.started(call(person), key)


def call(person: UUID, tenant: UUID = TENANT) -> Entry:
    return Entry(
        tenant_id=tenant,
        action="proxy.call",
        outcome="pending",
        actor_kind="agent",
        user_id=person,
        call_id=uuid4(),
        provider="spotify",
        method="PUT",
        detail={"path": "/v1/me/player/play", "reason": "Play Despacito"},
    )


def end(started: Entry) -> Entry:
    return Entry(
        tenant_id=started.tenant_id,
        action="proxy.finished",
        outcome="ok",
        actor_kind="agent",
        user_id=started.user_id,
        call_id=started.call_id,
        status=204,
        duration_ms=12,
    )


async def test_a_writer_that_stopped_refuses_instead_of_waiting_for_ever(db, keys, person, key) -> None:
    writer = CallWriter(db, keys)
    await writer.start()
    await writer.stop()
    with pytest.raises(Unavailable, match="ledger_busy"):
        await writer.started(call(person), key)
