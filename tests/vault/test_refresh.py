"""Rule R4, branch by branch: what is sent, what is stored, what callers, people and the ledger are told."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import pytest
from keybearer.kit.errors import KeybearerError
from keybearer.vault.service import Vault

TENANT = UUID("00000000-0000-7000-8000-000000000001")
REFRESHED = ("connection.refreshed", "ok", None)


@dataclass(frozen=True)
class Case:
    """`script`: what the provider does. `error`: what the agent is told; None for a token."""

    script: tuple[str, ...]
    asked: int
    error: str | None = None
    state: str = "active"
    reason: str | None = None
    ledger: tuple[tuple[str, str, str | None], ...] = (REFRESHED,)
    events: tuple[str, ...] = ()
    journal: str = "stored"
    grace: bool = True


CASES = {
    "plain": Case(("ok",), 1),
    "transient once": Case(("transient", "ok"), 2),
    "transient for long": Case(
        ("transient",) * 3,
        3,
        "provider_unavailable",
        ledger=(("connection.refresh_failed", "failed", "transient"),),
        journal="transient",
    ),
    "unknown, then the same token again": Case(("unknown", "ok"), 2),
    "the answer was lost, and the provider forgives": Case(("lost", "ok"), 2),
    "the answer was lost for good": Case(
        ("lost", "ok"),
        2,
        "needs_reconnect",
        "needs_reconnect",
        "rotation_lost",
        (("connection.needs_reconnect", "failed", "rotation_lost"),),
        ("needs_reconnect",),
        "rotation_lost",
        grace=False,
    ),
    "unknown for long": Case(
        ("unknown",) * 4,
        4,
        "provider_unavailable",
        ledger=(("connection.refresh_failed", "unknown", "unknown"),),
        journal="unknown",
    ),
    "unknown, then failing": Case(
        ("unknown", "transient", "transient", "transient"),
        4,
        "provider_unavailable",
        ledger=(("connection.refresh_failed", "unknown", "unknown"),),
        journal="unknown",
    ),
    "refused twice": Case(
        ("invalid_grant", "invalid_grant"),
        2,
        "needs_reconnect",
        "needs_reconnect",
        "invalid_grant",
        (("connection.needs_reconnect", "failed", "invalid_grant"),),
        ("needs_reconnect",),
        "invalid_grant",
    ),
    "refused by mistake": Case(("invalid_grant", "ok"), 2),
    "refused, then no answer, then refused": Case(
        ("invalid_grant", "unknown", "invalid_grant"),
        3,
        "needs_reconnect",
        "needs_reconnect",
        "invalid_grant",
        (("connection.needs_reconnect", "failed", "invalid_grant"),),
        ("needs_reconnect",),
        "invalid_grant",
    ),
    "our own client is refused": Case(
        ("invalid_client",),
        1,
        "provider_unavailable",
        ledger=(("connection.refresh_failed", "failed", "invalid_client"),),
        events=("active",),
        journal="invalid_client",
    ),
    "refused for another reason": Case(
        ("other",),
        1,
        "provider_unavailable",
        ledger=(("connection.refresh_failed", "failed", "other"),),
        journal="other",
    ),
    "no end of the call": Case(("hang", "ok"), 2),
}


async def outcome(vault: Vault, connection_id) -> str | None:
    try:
        await vault.access_token(TENANT, connection_id)
    except KeybearerError as error:
        return error.code
    return None


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_each_ending(world, case: Case) -> None:
    vault = world.vault(call=0.1)
    connection = await world.connect(vault)
    world.upstream.script = list(case.script)
    world.upstream.grace = case.grace
    before = await world.row(connection.id)

    assert await outcome(vault, connection.id) == case.error

    row = await world.row(connection.id)
    assert world.upstream.asked == ["refresh-0"] * case.asked
    assert (row["state"], row["state_reason"]) == (case.state, case.reason)
    assert await world.ledger() == list(case.ledger)
    assert await world.events() == list(case.events)
    assert await world.journal() == [case.journal]
    assert row["refresh_token"] is not None
    assert (row["refresh_token"] == before["refresh_token"]) == (case.error is not None)
    assert row["epoch"] == before["epoch"] + (case.error is None)


async def test_a_valid_token_is_handed_out_without_asking(world, vault) -> None:
    connection = await world.connect(vault, expires_in=61.0)
    credential = await vault.access_token(TENANT, connection.id)
    assert (credential.header, credential.value) == ("Authorization", "Bearer access-0")
    assert world.upstream.asked == []


async def test_a_token_with_less_than_a_minute_left_is_renewed(world, vault) -> None:
    connection = await world.connect(vault, expires_in=59.0)
    credential = await vault.access_token(TENANT, connection.id)
    assert credential.value == "Bearer access-1"
    assert credential.epoch == connection.epoch + 1
    assert "access-1" not in repr(credential)


async def test_the_rotated_token_is_used_next(world, vault) -> None:
    connection = await world.connect(vault)
    await vault.access_token(TENANT, connection.id)
    await vault.refresh_now(TENANT, connection.id)
    assert world.upstream.asked == ["refresh-0", "refresh-1"]


async def test_without_a_new_refresh_token_the_old_one_goes_on(world, vault) -> None:
    connection = await world.connect(vault)
    world.upstream.rotates = False
    await vault.access_token(TENANT, connection.id)
    await vault.refresh_now(TENANT, connection.id)
    assert world.upstream.asked == ["refresh-0", "refresh-0"]


async def test_a_token_that_never_expires_is_never_renewed(world, vault) -> None:
    connection = await world.connect(vault, expires_in=None, refresh_token=None)
    assert await outcome(vault, connection.id) is None
    with pytest.raises(KeybearerError, match="connection_not_refreshable"):
        await vault.refresh_now(TENANT, connection.id)
    assert world.upstream.asked == []


async def test_an_expired_token_without_refresh_token_needs_the_person(world, vault) -> None:
    connection = await world.connect(vault, refresh_token=None)
    assert await outcome(vault, connection.id) == "needs_reconnect"
    assert await outcome(vault, connection.id) == "needs_reconnect"
    assert await world.ledger() == [("connection.needs_reconnect", "failed", "expired")]
    assert await world.events() == ["needs_reconnect"]


async def test_after_a_failure_the_provider_is_left_alone_for_a_while(world, vault) -> None:
    connection = await world.connect(vault)
    world.upstream.script = ["transient"] * 3
    for _ in range(5):
        assert await outcome(vault, connection.id) == "provider_unavailable"
    assert len(world.upstream.asked) == 3
    await asyncio.sleep(0.45)
    assert await outcome(vault, connection.id) is None


async def test_a_long_retry_after_ends_the_attempts_and_is_passed_on(world, vault) -> None:
    connection = await world.connect(vault)
    world.upstream.script, world.upstream.retry_after = ["transient"], 17.0
    with pytest.raises(KeybearerError) as raised:
        await vault.access_token(TENANT, connection.id)
    assert (raised.value.code, raised.value.retry_after) == ("provider_unavailable", 17)
    assert len(world.upstream.asked) == 1


async def test_a_refused_client_stops_all_refreshes_at_that_provider(world, vault) -> None:
    first = await world.connect(vault)
    second = await world.connect(vault, account="bob")
    elsewhere = await world.connect(vault, provider="growing")
    world.upstream.script = ["invalid_client"]
    assert await outcome(vault, first.id) == "provider_unavailable"
    assert await outcome(vault, second.id) == "provider_unavailable"
    assert len(world.upstream.asked) == 1
    assert await outcome(vault, elsewhere.id) is None


async def test_fewer_scopes_than_before_are_told(world, vault) -> None:
    connection = await world.connect(vault, scopes=("play", "search"))
    world.upstream.scopes = ("search",)
    credential = await vault.access_token(TENANT, connection.id)
    assert credential.scopes == ("search",)
    row = await world.row(connection.id)
    assert (row["state"], row["state_reason"]) == ("active", "scope_reduced")
    assert await world.events() == ["active"]
