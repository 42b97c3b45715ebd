"""What `verify` says after plain SQL, run by a superuser, has been at the ledger."""

import asyncpg
from keybearer.ledger.verify import verify

ROW_CHANGES = {
    "tenant_id": "'{other}'",
    "uid": "gen_random_uuid()",
    "at": "at + interval '1 microsecond'",
    "action": "'sign_in'",
    "outcome": "'denied'",
    "actor_kind": "'agent'",
    "user_id": "NULL",
    "grant_id": "gen_random_uuid()",
    "connection_id": "gen_random_uuid()",
    "provider": "''",
    "call_id": "gen_random_uuid()",
    "method": "'GET'",
    "status": "0",
    "duration_ms": "0",
    "code": "'x'",
    "request_id": "'req_0'",
    "dek_id": "gen_random_uuid()",
    "detail": "detail || '\\x00'::bytea",
    "xid": "(xid::text::bigint + 1)::text::xid8",
    "era": "2",
    "id": "id + 1000",
}


async def test_the_table_of_changes_names_every_column(superuser: asyncpg.Connection) -> None:
    columns = await superuser.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'ledger'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    assert {column["attname"] for column in columns} == ROW_CHANGES.keys()


async def test_changing_any_column_of_a_sealed_row_is_named(books, signers, superuser, other_tenant) -> None:
    """One after the other, each taken back by the transaction that made it being undone."""
    row = await superuser.fetchval("SELECT id FROM ledger ORDER BY id OFFSET 4 LIMIT 1")
    before = await superuser.fetchrow("SELECT * FROM ledger WHERE id = $1", row)
    await superuser.execute("ALTER TABLE ledger ALTER id DROP IDENTITY")
    for column, value in ROW_CHANGES.items():
        changed = value.format(other=other_tenant)
        await superuser.execute(f"UPDATE ledger SET {column} = {changed} WHERE id = {row}")
        report = await verify(books, signers)
        assert report.problem is not None, column
        assert report.problem.startswith("batch 2 "), column
        assert report.batches == 1
        key = row + 1000 if column == "id" else row
        await superuser.execute(f"UPDATE ledger SET {column} = $1 WHERE id = $2", before[column], key)
        assert (await verify(books, signers)).problem is None, column


TAMPERING = {
    "a row deleted": ("DELETE FROM ledger WHERE id = {row}", "batch 2 (rows", "lacks rows"),
    "a row inserted": (
        (
            "INSERT INTO ledger (tenant_id, uid, xid, action, outcome, actor_kind) "
            "SELECT tenant_id, gen_random_uuid(), xid, 'sign_in', 'ok', 'person' FROM ledger WHERE id = {row}"
        ),
        "batch 2 (rows",
        "never sealed",
    ),
    "a row inserted below all": (
        (
            "INSERT INTO ledger (tenant_id, uid, xid, action, outcome, actor_kind) "
            "VALUES ('00000000-0000-7000-8000-000000000001', gen_random_uuid(), '3', 'sign_in', 'ok', 'person')"
        ),
        "batch 1 (rows",
        "never sealed",
    ),
    "two rows swapped": (
        (
            "UPDATE ledger a SET uid = b.uid, detail = b.detail FROM ledger b "
            "WHERE (a.id, b.id) IN (({row}, {row} + 1), ({row} + 1, {row}))"
        ),
        "batch 2 (rows",
        "was changed",
    ),
    "two rows reordered": (
        "UPDATE ledger a SET xid = b.xid FROM ledger b WHERE (a.id, b.id) IN (({row}, {row} + 1), ({row} + 1, {row}))",
        "batch 2 (rows",
        "was changed",
    ),
    "a row moved to the next batch": (
        "UPDATE ledger SET xid = (SELECT max(xid) FROM ledger) WHERE id = {row}",
        "batch 2 (rows",
        "lacks rows",
    ),
    "a row of an era that never was": (
        (
            "INSERT INTO ledger (tenant_id, uid, era, action, outcome, actor_kind) "
            "SELECT tenant_id, gen_random_uuid(), 7, 'sign_in', 'ok', 'person' FROM ledger LIMIT 1"
        ),
        "row ",
        "era 7, which never was",
    ),
    "a row of the future": (
        (
            "INSERT INTO ledger (tenant_id, uid, xid, action, outcome, actor_kind) "
            "SELECT tenant_id, gen_random_uuid(), '99999999999', 'sign_in', 'ok', 'person' FROM ledger LIMIT 1"
        ),
        "row ",
        "not happened yet",
    ),
    "every row deleted": ("TRUNCATE ledger", "batch 1 ", "lacks rows"),
    "a batch deleted": ("DELETE FROM ledger_batches WHERE no = 2", "batch 2 ", "is missing"),
    "the first batch deleted": ("DELETE FROM ledger_batches WHERE no = 1", "batch 1 ", "is missing"),
    "a batch and its rows deleted": (
        (
            "DELETE FROM ledger USING ledger_batches b WHERE b.no = 2 AND xid >= from_xid AND xid < to_xid; "
            "DELETE FROM ledger_batches WHERE no = 2; UPDATE ledger_batches SET no = no - 1 WHERE no = 3; "
            "UPDATE ledger_batches SET no = no - 1 WHERE no = 4"
        ),
        "batch 2 ",
        "does not follow",
    ),
    "the first batch and its rows deleted": (
        (
            "DELETE FROM ledger USING ledger_batches b WHERE b.no = 1 AND xid >= from_xid AND xid < to_xid; "
            "DELETE FROM ledger_batches WHERE no = 1; UPDATE ledger_batches SET no = no - 10; "
            "UPDATE ledger_batches SET no = no + 9, "
            "previous_hash = CASE no WHEN -8 THEN decode(repeat('00', 32), 'hex') ELSE previous_hash END, "
            "from_xid = CASE no WHEN -8 THEN '0'::xid8 ELSE from_xid END"
        ),
        "batch 1 ",
        "signature does not fit",
    ),
    "batches swapped": (
        "UPDATE ledger_batches SET no = -no WHERE no IN (2, 3); UPDATE ledger_batches SET no = 5 + no WHERE no < 0",
        "batch 2 ",
        "does not follow",
    ),
    "a batch numbered below": ("UPDATE ledger_batches SET no = -5 WHERE no = 4", "batch 1 ", "is missing"),
    "no changed": ("UPDATE ledger_batches SET no = 9 WHERE no = 4", "batch 4 ", "is missing"),
    "era changed": ("UPDATE ledger_batches SET era = 2 WHERE no = 2", "batch 2 ", "gap"),
    "from changed": ("UPDATE ledger_batches SET from_xid = '1' WHERE no = 2", "batch 2 ", "gap"),
    "to changed": (
        "UPDATE ledger_batches SET to_xid = (to_xid::text::bigint + 1)::text::xid8 WHERE no = 2",
        "batch 2 ",
        "signature does not fit",
    ),
    "count changed": ("UPDATE ledger_batches SET count = count + 1 WHERE no = 2", "batch 2 ", "signature does not fit"),
    "root changed": (
        "UPDATE ledger_batches SET root = sha256(root) WHERE no = 2",
        "batch 2 ",
        "signature does not fit",
    ),
    "previous hash changed": (
        "UPDATE ledger_batches SET previous_hash = sha256(root) WHERE no = 2",
        "batch 2 ",
        "does not follow",
    ),
    "signature changed": (
        "UPDATE ledger_batches SET signature = sha256(root) || sha256(root) WHERE no = 2",
        "batch 2 ",
        "signature does not fit",
    ),
    "signature emptied": (
        "UPDATE ledger_batches SET signature = '' WHERE no = 2",
        "batch 2 ",
        "signature does not fit",
    ),
    "key changed": ("UPDATE ledger_batches SET key_id = 's9' WHERE no = 2", "batch 2 ", "'s9'"),
    "time changed": (
        "UPDATE ledger_batches SET sealed_at = sealed_at + interval '1 microsecond' WHERE no = 2",
        "batch 2 ",
        "signature does not fit",
    ),
    "time made endless": (
        "UPDATE ledger_batches SET sealed_at = 'infinity' WHERE no = 2; UPDATE ledger SET at = '-infinity'",
        "batch 1 ",
        "was changed",
    ),
    "the eras emptied": ("TRUNCATE ledger_eras", "the list of eras", "[]"),
}


async def test_tampering_is_named(books, signers, superuser: asyncpg.Connection) -> None:
    """On copies of one ledger, put back after each change."""
    row = await superuser.fetchval("SELECT id FROM ledger ORDER BY id OFFSET 3 LIMIT 1")
    await superuser.execute("".join(f"CREATE TEMP TABLE kept_{name} AS TABLE {name};" for name in TABLES))
    for name, (statement, where, what) in TAMPERING.items():
        await superuser.execute(statement.format(row=row))
        report = await verify(books, signers)
        assert report.problem is not None, name
        assert report.problem.startswith(where), name
        assert what in report.problem, name
        await superuser.execute("".join(PUT_BACK.format(name=name) for name in TABLES))
    assert (await verify(books, signers)).problem is None


TABLES = ("ledger", "ledger_batches", "ledger_eras")
PUT_BACK = "TRUNCATE {name}; INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{name};"
