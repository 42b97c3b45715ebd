"""Several processes and one expired token: who asks, who waits, and what a late or dead one can still break."""

import asyncio
from uuid import UUID

import pytest
from keybearer.kit.errors import KeybearerError
from keybearer.vault.refresh import store

TENANT = UUID("00000000-0000-7000-8000-000000000001")


async def test_a_storm_over_three_processes_asks_once(world) -> None:
    vaults = [world.vault() for _ in range(3)]
    connection = await world.connect(vaults[0])
    world.upstream.delay = 0.3
    credentials = await asyncio.gather(*(vaults[n % 3].access_token(TENANT, connection.id) for n in range(1000)))
    assert {credential.value for credential in credentials} == {"Bearer access-1"}
    assert world.upstream.asked == ["refresh-0"]
    assert await world.ledger() == [("connection.refreshed", "ok", None)]


async def test_those_who_saw_the_same_refused_token_share_one_refresh(world) -> None:
    vaults = [world.vault() for _ in range(3)]
    connection = await world.connect(vaults[0], expires_in=3600.0)
    seen = (await vaults[0].access_token(TENANT, connection.id)).epoch
    for vault in vaults:  # one after the other: the later ones find it done
        credential = await vault.refresh_now(TENANT, connection.id, seen_epoch=seen)
        assert credential.value == "Bearer access-1"
    again = await asyncio.gather(*(vault.refresh_now(TENANT, connection.id, seen_epoch=seen + 1) for vault in vaults))
    assert {credential.value for credential in again} == {"Bearer access-2"}
    assert len(world.upstream.asked) == 2


async def test_processes_that_wait_share_the_failure(world) -> None:
    vaults = [world.vault() for _ in range(3)]
    connection = await world.connect(vaults[0])
    world.upstream.script, world.upstream.delay = ["transient"] * 9, 0.1
    results = await asyncio.gather(
        *(vault.access_token(TENANT, connection.id) for vault in vaults), return_exceptions=True
    )
    assert [result.code for result in results if isinstance(result, KeybearerError)] == ["provider_unavailable"] * 3
    assert len(world.upstream.asked) == 3
    assert len(await world.ledger()) == 1


@pytest.mark.parametrize(
    ("grace", "error", "ledger"),
    [
        (True, None, [("connection.refreshed", "ok", None)]),
        (False, "needs_reconnect", [("connection.needs_reconnect", "failed", "rotation_lost")]),
    ],
    ids=["provider forgives", "provider does not"],
)
async def test_a_process_that_died_while_asking(world, vault, grace, error, ledger) -> None:
    """Its lease must end first; then the same token is sent once more, because nobody knows whether it was used."""
    connection = await world.connect(vault)
    world.upstream.grace = grace
    begun = asyncio.get_running_loop().time()
    async with world.db.transaction(TENANT) as tx:
        lease = await store.claim(tx, TENANT, connection.id, seen=connection.epoch, owner="died", seconds=0.5)
    assert lease is not None
    world.upstream._rotate("refresh-0")  # it had asked, and the answer died with it

    try:
        await vault.access_token(TENANT, connection.id)
        seen = None
    except KeybearerError as raised:
        seen = raised.code
    assert seen == error
    assert asyncio.get_running_loop().time() - begun >= 0.45
    assert world.upstream.asked == ["refresh-0"]
    assert await world.ledger() == ledger
    assert await world.journal() == ["unknown", "stored" if error is None else "rotation_lost"]


async def test_a_process_that_overslept_its_lease_stores_nothing(world, reach) -> None:
    slow, quick = world.vault(lease=0.3), world.vault(lease=0.3)
    connection = await world.connect(slow)
    answered, may_go_on = asyncio.Event(), asyncio.Event()

    async def oversleep() -> None:
        if not answered.is_set():
            answered.set()
            await may_go_on.wait()

    reach("refresh.answered", oversleep)
    sleeper = asyncio.create_task(slow.access_token(TENANT, connection.id))
    await answered.wait()
    credential = await quick.access_token(TENANT, connection.id)
    assert credential.value == "Bearer access-2"
    may_go_on.set()
    assert (await sleeper).value == "Bearer access-2"
    assert await world.ledger() == [
        ("connection.refreshed", "ok", None),
        ("connection.refresh_failed", "failed", "superseded"),
    ]
    assert world.upstream.revoked == []


async def test_a_late_answer_is_not_stored_under_anothers_lease(world, reach) -> None:
    """Its successor has sent the same refresh token meanwhile, so only the successor's answer can be the last one."""
    slow, quick = world.vault(lease=0.3), world.vault(lease=0.3)
    connection = await world.connect(slow)
    answered, may_store, asked, may_answer, dropped = (asyncio.Event() for _ in range(5))

    async def oversleep() -> None:
        if not answered.is_set():
            answered.set()
            await may_store.wait()

    async def wait() -> None:
        asked.set()
        await may_answer.wait()

    async def tell() -> None:
        dropped.set()

    reach("refresh.answered", oversleep)
    reach("refresh.dropped", tell)
    sleeper = asyncio.create_task(slow.access_token(TENANT, connection.id))
    await answered.wait()
    world.upstream.before = wait
    successor = asyncio.create_task(quick.access_token(TENANT, connection.id))
    await asked.wait()
    may_store.set()
    await dropped.wait()
    assert await world.ledger() == [("connection.refresh_failed", "failed", "superseded")]
    assert (await world.row(connection.id))["epoch"] == connection.epoch
    may_answer.set()
    assert {one.value for one in await asyncio.gather(sleeper, successor)} == {"Bearer access-2"}
    assert world.upstream.asked == ["refresh-0"] * 2


async def test_a_process_that_overslept_before_asking_does_not_ask(world, reach) -> None:
    slow, quick = world.vault(lease=0.3), world.vault(lease=0.3)
    connection = await world.connect(slow)
    leased, may_go_on = asyncio.Event(), asyncio.Event()

    async def oversleep() -> None:
        if not leased.is_set():
            leased.set()
            await may_go_on.wait()

    reach("refresh.leased", oversleep)
    sleeper = asyncio.create_task(slow.access_token(TENANT, connection.id))
    await leased.wait()
    await quick.access_token(TENANT, connection.id)
    may_go_on.set()
    assert (await sleeper).value == "Bearer access-1"
    assert world.upstream.asked == ["refresh-0"]


async def test_a_reconnect_during_a_refresh_wins(world, vault) -> None:
    connection = await world.connect(vault)

    async def reconnect() -> None:
        world.upstream.before = None
        await world.connect(vault, expires_in=3600.0, refresh_token="refresh-new")

    world.upstream.before = reconnect
    credential = await vault.access_token(TENANT, connection.id)
    assert credential.value == "Bearer access-0"
    assert ("connection.refresh_failed", "failed", "superseded") in await world.ledger()
    await vault.refresh_now(TENANT, connection.id)
    assert world.upstream.asked == ["refresh-0", "refresh-new"]
    assert world.upstream.revoked == []


async def test_a_reconnect_before_the_verdict_wins(world, vault) -> None:
    """The provider refuses the old token because a new consent replaced it: that is no reason to ask for another."""
    connection = await world.connect(vault)
    world.upstream.script = ["invalid_grant"]

    async def reconnect() -> None:
        world.upstream.before = None
        await world.connect(vault, expires_in=3600.0, refresh_token="refresh-new")

    world.upstream.before = reconnect
    credential = await vault.access_token(TENANT, connection.id)
    assert credential.value == "Bearer access-0"
    assert (await world.row(connection.id))["state"] == "active"


async def test_a_disconnect_during_a_refresh_leaves_no_usable_token(world, vault) -> None:
    connection = await world.connect(vault)

    async def disconnect() -> None:
        world.upstream.before = None
        await vault.disconnect(world.principal, connection.id, no_grants)

    world.upstream.before = disconnect
    with pytest.raises(KeybearerError, match="connection_revoked"):
        await vault.access_token(TENANT, connection.id)
    row = await world.row(connection.id)
    assert row["state"] == "revoked"
    assert row["access_token"] is row["refresh_token"] is row["id_token"] is None
    assert world.upstream.revoked == [("access-0", "refresh-0"), ("access-1", "refresh-1")]


async def test_an_erasure_during_a_refresh_leaves_nothing(world, vault) -> None:
    connection = await world.connect(vault)

    async def erase() -> None:
        world.upstream.before = None
        await vault.revoke_all(TENANT, world.person)
        async with world.db.transaction(TENANT) as tx:
            await vault.erase(tx, TENANT, world.person)
        await world.sql("DELETE FROM data_keys WHERE owner_id = $1", world.person)

    world.upstream.before = erase
    with pytest.raises(KeybearerError, match="connection_not_found"):
        await vault.access_token(TENANT, connection.id)
    assert await world.sql("SELECT FROM connections") == []
    assert await world.sql("SELECT FROM data_keys WHERE owner_id = $1", world.person) == []
    assert world.upstream.revoked == [("access-0", "refresh-0"), ("access-1", "refresh-1")]


async def test_callers_that_go_away_do_not_end_the_refresh(world, vault) -> None:
    connection = await world.connect(vault)
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await may_answer.wait()

    world.upstream.before = wait
    callers = [asyncio.create_task(vault.access_token(TENANT, connection.id)) for _ in range(3)]
    await asked.wait()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    may_answer.set()
    assert (await vault.access_token(TENANT, connection.id)).value == "Bearer access-1"
    assert world.upstream.asked == ["refresh-0"]


async def test_a_caller_waits_no_longer_than_its_deadline(world) -> None:
    vault = world.vault(caller=0.1)
    connection = await world.connect(vault)
    may_answer = asyncio.Event()
    world.upstream.before = may_answer.wait
    with pytest.raises(KeybearerError) as raised:
        await vault.access_token(TENANT, connection.id)
    assert (raised.value.code, raised.value.retry_after) == ("refresh_in_progress", 2)
    may_answer.set()
    patient = world.vault()
    assert (await patient.access_token(TENANT, connection.id)).value == "Bearer access-1"
    assert world.upstream.asked == ["refresh-0"]


async def test_refreshing_ahead_makes_nobody_wait(world, vault) -> None:
    connection = await world.connect(vault, expires_in=300.0)
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await may_answer.wait()

    world.upstream.before = wait
    ahead = asyncio.create_task(vault.refresh_now(TENANT, connection.id, why="ahead"))
    await asked.wait()
    assert (await vault.access_token(TENANT, connection.id)).value == "Bearer access-0"
    may_answer.set()
    assert (await ahead).value == "Bearer access-1"


async def test_each_caller_gets_an_error_of_its_own(world, vault) -> None:
    connection = await world.connect(vault)
    world.upstream.script = ["other"]
    errors = await asyncio.gather(
        *(vault.access_token(TENANT, connection.id) for _ in range(3)), return_exceptions=True
    )
    assert len({id(error) for error in errors}) == 3


async def no_grants(tx: object, tenant_id: UUID, connection_id: UUID) -> int:
    return 0
