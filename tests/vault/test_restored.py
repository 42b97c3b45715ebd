"""Refresh tokens that came out of a backup: shown to the provider once, believed when it takes them."""

from uuid import UUID

import pytest
from keybearer.kit.errors import KeybearerError
from keybearer.vault import background, metrics
from keybearer.vault.background import VaultWork

TENANT = UUID("00000000-0000-7000-8000-000000000001")


async def restored(world) -> None:
    """What a restore does to connections; a test does it as the superuser."""
    await world.sql("UPDATE connections SET unverified = true WHERE state = 'active' AND refresh_token IS NOT NULL")


async def outcome(vault, connection_id) -> str | None:
    try:
        await vault.access_token(TENANT, connection_id)
    except KeybearerError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("script", "asked", "error", "state", "reason", "unverified"),
    [
        (("ok",), 1, None, "active", None, False),
        (("invalid_grant", "ok"), 1, "needs_reconnect", "needs_reconnect", "rotation_lost", False),
        (("transient", "ok"), 2, None, "active", None, False),
        (("transient", "invalid_grant", "ok"), 2, "needs_reconnect", "needs_reconnect", "rotation_lost", False),
        (("transient",) * 3, 3, "provider_unavailable", "active", None, True),
        (("invalid_client",), 1, "provider_unavailable", "active", None, True),
        (("other",), 1, "provider_unavailable", "active", None, True),
        (("unknown", "ok"), 2, None, "active", None, False),
    ],
)
async def test_each_ending(world, script, asked, error, state, reason, unverified) -> None:
    vault = world.vault(call=0.1)
    connection = await world.connect(vault)
    await restored(world)
    world.upstream.script = list(script)

    assert await outcome(vault, connection.id) == error

    row = await world.row(connection.id)
    assert world.upstream.asked == ["refresh-0"] * asked
    assert (row["state"], row["state_reason"], row["unverified"]) == (state, reason, unverified)
    assert row["refresh_token"] is not None


async def test_until_it_is_tried_it_is_shown_and_used_as_it_was(world, vault) -> None:
    connection = await world.connect(vault, expires_in=3600.0)
    await restored(world)
    assert (await vault.get_connection(world.principal, connection.id)).state_at(world.clock()) == "active"
    assert (await vault.access_token(TENANT, connection.id)).value == "Bearer access-0"
    assert world.upstream.asked == []


async def test_once_believed_it_is_like_any_other(world, vault) -> None:
    connection = await world.connect(vault)
    await restored(world)
    await vault.access_token(TENANT, connection.id)
    world.upstream.script = ["invalid_grant", "invalid_grant"]
    with pytest.raises(KeybearerError, match="needs_reconnect"):
        await vault.refresh_now(TENANT, connection.id)
    assert (await world.row(connection.id))["state_reason"] == "invalid_grant"
    assert world.upstream.asked == ["refresh-0", "refresh-1", "refresh-1"]


async def test_a_new_consent_needs_no_trial(world, vault) -> None:
    connection = await world.connect(vault)
    await restored(world)
    await world.connect(vault, refresh_token="refresh-new")
    assert not (await world.row(connection.id))["unverified"]


async def test_several_processes_try_it_once_between_them(world) -> None:
    first, second = world.vault(), world.vault()
    connection = await world.connect(first)
    await restored(world)
    world.upstream.script = ["invalid_grant"]
    assert await outcome(first, connection.id) == await outcome(second, connection.id) == "needs_reconnect"
    assert len(world.upstream.asked) == 1


async def test_a_clients_own_credentials_cannot_rotate(world, vault) -> None:
    connection = await world.connect(vault, provider="machine", refresh_token='{"client_id": "a"}')
    await restored(world)
    world.upstream.script = ["invalid_client"]
    assert await outcome(vault, connection.id) == "needs_reconnect"
    assert (await world.row(connection.id))["state_reason"] == "invalid_client"


async def test_the_background_tries_few_at_once(world, vault) -> None:
    """All are due together after a restore; those that are believed do not wait for the others."""
    for number in range(30):
        await world.connect(vault, account=f"person-{number}")
    await restored(world)
    believed = await world.connect(vault, account="believed")
    await world.sql("UPDATE connections SET last_used_at = now()")
    work = VaultWork(world.db, vault, "process-0", clock=world.clock)
    await work.measure()
    assert metrics.UNVERIFIED._value.get() == 30

    assert await work.refresh_ahead(spread=0.0) == 21
    assert (await world.row(believed.id))["epoch"] == 2
    await work.measure()
    assert metrics.UNVERIFIED._value.get() == 10
    assert await work.refresh_ahead(spread=0.0) == 10


async def test_a_restore_distrusts_what_can_be_refreshed(world, vault) -> None:
    for changes in ({}, {"account": "bob", "refresh_token": None}, {"account": "carol"}):
        await world.connect(vault, **changes)
    await world.sql("UPDATE connections SET state = 'needs_reconnect' WHERE account_id = 'carol'")
    await world.sql("UPDATE connections SET lease_owner = 'gone', lease_until = now() + interval '1 h'")
    async with world.db.transaction(TENANT) as tx:
        assert await background.distrust(tx) == 1
    rows = await world.sql("SELECT account_id, unverified, lease_until::text FROM connections ORDER BY account_id")
    assert [(row[0], row[1]) for row in rows] == [("alice", True), ("bob", False), ("carol", False)]
    assert {row[2] for row in rows} == {"-infinity"}
