"""What the vault does by itself: refreshes ahead, reminds once, writes last use, counts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from keybearer.kit.errors import KeybearerError
from keybearer.vault import metrics
from keybearer.vault.background import VaultWork
from keybearer.vault.model import reminder_due

TENANT = UUID("00000000-0000-7000-8000-000000000001")


@pytest.fixture
def work(world, vault) -> VaultWork:
    return VaultWork(world.db, vault, "process-0", clock=world.clock)


async def test_last_use_is_written_in_one_go_and_never_goes_back(world, vault, work) -> None:
    connections = [await world.connect(vault, account=name) for name in ("alice", "bob", "carol")]
    for connection in connections[:2]:
        vault.used(TENANT, connection.id)
    await work.flush()
    first = [(await world.row(connection.id))["last_used_at"] for connection in connections]
    assert first[0] is not None
    assert first[1] is not None
    assert first[2] is None
    world.clock.ahead = -timedelta(hours=1)
    vault.used(TENANT, connections[0].id)
    await work.flush()
    assert (await world.row(connections[0].id))["last_used_at"] == first[0]


async def test_last_use_is_written_at_the_end_too(world, vault, work) -> None:
    connection = await world.connect(vault, expires_in=3600.0)
    work.start()
    vault.used(TENANT, connection.id)
    await work.stop()
    assert (await world.row(connection.id))["last_used_at"] is not None


@pytest.mark.parametrize(
    ("expires_in", "last_use", "state", "tried"),
    [
        (300.0, timedelta(hours=1), "active", 1),
        (0.0, timedelta(hours=1), "active", 1),
        (900.0, timedelta(hours=1), "active", 0),
        (300.0, timedelta(hours=25), "active", 0),
        (300.0, None, "active", 0),
        (300.0, timedelta(hours=1), "needs_reconnect", 0),
    ],
)
async def test_what_agents_used_lately_is_refreshed_ahead(
    world, vault, work, expires_in, last_use, state, tried
) -> None:
    connection = await world.connect(vault, expires_in=expires_in)
    if last_use is not None:
        used_at = world.clock() - last_use
        await world.sql("UPDATE connections SET last_used_at = $1, state = $2", used_at, state)
    assert await work.refresh_ahead(spread=0.0) == tried
    assert len(world.upstream.asked) == tried
    assert (await world.row(connection.id))["epoch"] == 1 + tried


async def test_one_that_cannot_be_refreshed_does_not_keep_the_others(world, vault, work) -> None:
    connections = [await world.connect(vault, account=name) for name in ("alice", "bob", "carol")]
    await world.sql("UPDATE connections SET last_used_at = now()")
    world.upstream.script = ["other"]
    assert await work.refresh_ahead(spread=0.0) == 3
    assert sorted([(await world.row(one.id))["epoch"] for one in connections]) == [1, 2, 2]


async def test_each_reminder_is_given_once(world, vault, work) -> None:
    connection = await world.connect(vault, expires_in=400 * 86400.0)
    told = []
    for days in (40, 29.5, 29, 8, 6.5, 6, 2, 0.9, 0.5):
        world.clock.ahead = connection.grant_expires_at - world.clock() + world.clock.ahead - timedelta(days=days)
        told.append(await work.remind())
    assert told == [0, 1, 0, 0, 1, 0, 0, 1, 0]
    assert await world.ledger() == [("connection.reminder", "ok", None)] * 3
    assert await world.events() == ["expiring"] * 3
    assert world.upstream.asked == []


@pytest.mark.parametrize(
    ("script", "state"), [(["invalid_grant"] * 2, "needs_reconnect"), ([], "active")], ids=["refuses", "goes on"]
)
async def test_when_a_consent_should_be_over_the_provider_is_asked(world, vault, work, script, state) -> None:
    connection = await world.connect(vault)
    world.upstream.script = list(script)
    world.clock.ahead = timedelta(days=190)
    assert await work.remind() == 1
    assert await work.remind() == 0
    assert (await world.row(connection.id))["state"] == state
    assert len(world.upstream.asked) == max(1, len(script))


@pytest.mark.parametrize(
    ("left", "reminded", "due"),
    [
        (31, None, None),
        (30, None, 30),
        (30, 30, None),
        (7, 30, 7),
        (5, None, 7),
        (1, 7, 1),
        (0.5, 1, None),
        (0, 1, 0),
        (-3, None, 0),
        (-3, 0, None),
    ],
)
def test_which_reminder_is_due(left, reminded, due) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert reminder_due(now + timedelta(days=left), reminded, now) == due


async def test_counts_by_provider_and_shown_state(world, vault, work) -> None:
    await world.connect(vault)
    await world.connect(vault, account="bob")
    await world.connect(vault, provider="growing")
    await world.sql("UPDATE connections SET grant_expires_at = now() + interval '3 days' WHERE account_id = 'bob'")
    await work.measure()
    read = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.CONNECTIONS.collect()
        for sample in family.samples
    }
    assert read["acme", "active"] == 1
    assert read["acme", "expiring"] == 1
    assert read["growing", "active"] == 1
    await world.sql("DELETE FROM connections WHERE provider = 'growing'")
    await work.measure()
    assert metrics.CONNECTIONS.labels("growing", "active")._value.get() == 0


async def test_old_journal_rows_go_and_those_that_matter_stay(world, vault, work) -> None:
    connection = await world.connect(vault)
    await vault.access_token(TENANT, connection.id)
    world.upstream.script = ["unknown"] * 4
    with pytest.raises(KeybearerError):
        await vault.refresh_now(TENANT, connection.id)
    await world.sql("UPDATE refresh_journal SET finished_at = now() - interval '8 days'")
    await work.remind()
    assert await world.journal() == ["unknown"]
