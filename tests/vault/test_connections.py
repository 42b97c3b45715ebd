"""Connections come, come back and end; what is kept of their tokens each time."""

import base64
import json
from uuid import UUID, uuid4

import pytest
from keybearer.kit.errors import KeybearerError
from keybearer.providers.tokens import TokenRequestFailed

TENANT = UUID("00000000-0000-7000-8000-000000000001")


async def no_grants(tx: object, tenant_id: UUID, connection_id: UUID) -> int:
    return 0


async def two_grants(tx: object, tenant_id: UUID, connection_id: UUID) -> int:
    return 2


async def test_a_new_connection(world, vault) -> None:
    connection = await world.connect(vault, expires_in=3600.0)
    row = await world.row(connection.id)
    assert (row["state"], row["epoch"], row["scopes"], row["account_name"]) == ("active", 1, ["play"], "Alice")
    assert 180 <= (row["grant_expires_at"] - row["created_at"]).days <= 185
    for column in ("access_token", "refresh_token"):
        assert b"access-0" not in row[column]
        assert b"refresh-0" not in row[column]
    assert [one.id for one in await vault.list_connections(world.principal)] == [connection.id]
    actions = await world.sql("SELECT action, actor_kind FROM ledger")
    assert [tuple(row) for row in actions] == [("connection.created", "person")]


async def test_the_same_account_revives_its_connection_and_another_makes_another(world, vault) -> None:
    first = await world.connect(vault)
    world.upstream.script = ["invalid_grant"] * 2
    with pytest.raises(KeybearerError, match="needs_reconnect"):
        await vault.access_token(TENANT, first.id)
    again = await world.connect(vault, expires_in=3600.0)
    other = await world.connect(vault, account="bob", expires_in=3600.0)
    assert again.id == first.id != other.id
    assert (again.state, again.state_reason, again.epoch) == ("active", None, 2)
    assert (await vault.access_token(TENANT, first.id)).account_name == "Alice"
    assert [entry[0] for entry in await world.ledger()] == ["connection.needs_reconnect", "connection.reconnected"]


@pytest.mark.parametrize(
    ("works", "expected"), [(True, "refresh-0"), (False, None)], ids=["which works", "which does not"]
)
async def test_a_consent_without_refresh_token_keeps_the_old_one(world, vault, works, expected) -> None:
    connection = await world.connect(vault)
    if not works:
        await world.sql("UPDATE connections SET state = 'needs_reconnect'")
    await world.connect(vault, refresh_token=None)
    if expected is None:
        assert (await world.row(connection.id))["refresh_token"] is None
    else:
        await vault.access_token(TENANT, connection.id)
        assert world.upstream.asked == [expected]


@pytest.mark.parametrize(
    ("provider", "granted", "expected"),
    [
        ("growing", None, ("read", "write")),
        ("growing", ("write",), ("write",)),
        ("acme", None, ("write",)),
    ],
)
async def test_scopes_of_a_second_consent(world, vault, provider, granted, expected) -> None:
    await world.connect(vault, provider=provider, requested=("read",))
    again = await world.connect(vault, provider=provider, requested=("write",), scopes=granted)
    assert again.scopes == expected


@pytest.mark.parametrize("revokes", [True, False])
async def test_disconnecting_destroys_the_tokens_whatever_the_provider_says(world, vault, revokes) -> None:
    connection = await world.connect(vault, expires_in=3600.0)
    world.upstream.revokes = revokes
    assert await vault.disconnect(world.principal, connection.id, two_grants) == (revokes, 2)
    assert world.upstream.revoked == [("access-0", "refresh-0")]
    row = await world.row(connection.id)
    assert row["access_token"] is row["refresh_token"] is row["id_token"] is row["grant_expires_at"] is None
    assert row["state"] == "revoked"
    assert await vault.list_connections(world.principal) == []
    assert await world.events() == ["revoked"]
    with pytest.raises(KeybearerError) as raised:
        await vault.access_token(TENANT, connection.id)
    assert raised.value.code == "connection_revoked"
    for repeated in (
        vault.disconnect(world.principal, connection.id, no_grants),
        vault.refresh_asked(world.principal, connection.id),
    ):
        with pytest.raises(KeybearerError, match="connection_not_found"):
            await repeated


async def test_a_provider_that_hangs_or_fails_does_not_hold_a_disconnect(world, vault) -> None:
    connection = await world.connect(vault)

    async def fails(*_args: object, **_kwargs: object) -> bool:
        raise TimeoutError

    world.upstream.revoke = fails
    assert await vault.disconnect(world.principal, connection.id, no_grants) == (False, 0)
    assert (await world.row(connection.id))["refresh_token"] is None


async def test_after_a_disconnect_the_same_account_can_come_back(world, vault) -> None:
    connection = await world.connect(vault)
    await vault.disconnect(world.principal, connection.id, no_grants)
    again = await world.connect(vault, expires_in=3600.0)
    assert again.id == connection.id
    assert (await vault.access_token(TENANT, connection.id)).value == "Bearer access-0"


async def test_nobody_reaches_the_connection_of_another(world, vault) -> None:
    connection = await world.connect(vault)
    stranger = world.principal
    object.__setattr__(stranger, "user_id", uuid4())
    for attempt in (
        vault.get_connection(stranger, connection.id),
        vault.refresh_asked(stranger, connection.id),
        vault.disconnect(stranger, connection.id, no_grants),
    ):
        with pytest.raises(KeybearerError, match="connection_not_found"):
            await attempt
    with pytest.raises(KeybearerError, match="connection_not_found"):
        await vault.access_token(uuid4(), connection.id)


@pytest.mark.parametrize("column", ["access_token", "refresh_token"])
async def test_a_token_moved_to_another_place_does_not_open(world, vault, column) -> None:
    """Whoever can write to the database cannot make one person's agent use another account's token."""
    mine = await world.connect(vault, expires_in=3600.0)
    other = await world.connect(vault, account="bob", expires_in=3600.0)
    await world.sql(
        f"UPDATE connections SET access_token = (SELECT {column} FROM connections WHERE id = $2) WHERE id = $1",
        mine.id,
        mine.id if column == "refresh_token" else other.id,
    )
    with pytest.raises(KeybearerError, match="credential_unreadable"):
        await vault.access_token(TENANT, mine.id)


async def test_a_refresh_token_moved_to_another_place_is_not_sent(world, vault) -> None:
    mine = await world.connect(vault)
    other = await world.connect(vault, account="bob", refresh_token="refresh-other")
    await world.sql(
        "UPDATE connections SET refresh_token = (SELECT refresh_token FROM connections WHERE id = $2) WHERE id = $1",
        mine.id,
        other.id,
    )
    for _ in range(2):
        with pytest.raises(KeybearerError, match="credential_unreadable"):
            await vault.access_token(TENANT, mine.id)
    assert world.upstream.asked == []
    assert await world.journal() == ["not_sent"] * 2
    assert await vault.disconnect(world.principal, mine.id, no_grants) == (False, 0)
    assert (await world.row(mine.id))["refresh_token"] is None


async def test_a_typed_key_is_put_where_the_catalogue_says(world, vault) -> None:
    provider = world.upstream.get_provider("keyed")
    connection = await vault.store_fields(world.principal, provider, {"key": "planted-key"})
    credential = await vault.access_token(TENANT, connection.id)
    assert (credential.header, credential.value) == ("X-Api-Key", "planted-key")
    with pytest.raises(KeybearerError, match="connection_not_refreshable"):
        await vault.refresh_now(TENANT, connection.id)
    again = await vault.store_fields(world.principal, provider, {"key": "second-key"})
    assert again.id == connection.id
    assert (await vault.access_token(TENANT, connection.id)).value == "second-key"


async def test_a_user_name_and_password_name_the_account(world, vault) -> None:
    provider = world.upstream.get_provider("named")
    alice = await vault.store_fields(world.principal, provider, {"user": "alice", "password": "planted"})
    carol = await vault.store_fields(world.principal, provider, {"user": "carol", "password": "planted"})
    assert alice.id != carol.id
    assert alice.account_name == "alice"
    credential = await vault.access_token(TENANT, alice.id)
    assert credential.value == "Basic " + base64.b64encode(b"alice:planted").decode()


async def test_a_client_of_the_persons_own_is_asked_again_when_its_token_ends(world, vault) -> None:
    provider = world.upstream.get_provider("machine")
    fields = {"client_id": "robot", "client_secret": "planted"}
    world.upstream.expires_in = 0.0
    connection = await vault.store_fields(world.principal, provider, fields)
    assert connection.account_name == "robot"
    assert (await vault.access_token(TENANT, connection.id)).value == "Bearer access-2"
    assert [json.loads(one) for one in world.upstream.asked] == [fields, fields]


async def test_a_client_of_the_persons_own_that_is_refused_concerns_that_connection_alone(world, vault) -> None:
    provider = world.upstream.get_provider("machine")
    world.upstream.expires_in = 0.0
    connection = await vault.store_fields(world.principal, provider, {"client_id": "robot", "client_secret": "x"})
    world.upstream.script = ["unknown", "invalid_client"]
    with pytest.raises(KeybearerError, match="needs_reconnect"):
        await vault.access_token(TENANT, connection.id)
    assert (await world.row(connection.id))["state_reason"] == "invalid_client"
    other = await vault.store_fields(world.principal, provider, {"client_id": "other", "client_secret": "y"})
    await vault.access_token(TENANT, other.id)


@pytest.mark.parametrize(
    ("provider", "fields", "says"),
    [
        ("acme", {}, "consent"),
        ("keyed", {}, "API key is missing"),
        ("keyed", {"key": "  "}, "API key is missing"),
        ("keyed", {"key": "planted\nX-Evil: 1"}, "no header can carry"),
        ("keyed", {"key": "plänted"}, "no header can carry"),
        ("keyed", {"key": "k" * 5000}, "no header can carry"),
        ("keyed", {"key": "k", "more": "planted"}, "no field 'more'"),
    ],
)
async def test_fields_that_cannot_be(world, vault, provider, fields, says) -> None:
    with pytest.raises(KeybearerError, match=says) as raised:
        await vault.store_fields(world.principal, world.upstream.get_provider(provider), fields)
    assert raised.value.code == "request_invalid"
    assert "planted" not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("invalid_client", "request_invalid"), ("transient", "provider_unavailable"), ("unknown", "provider_unavailable")],
)
async def test_client_credentials_are_tried_before_they_are_kept(world, vault, kind, code) -> None:
    world.upstream.script = [kind]
    with pytest.raises(KeybearerError) as raised:
        await vault.store_fields(
            world.principal, world.upstream.get_provider("machine"), {"client_id": "a", "client_secret": "b"}
        )
    assert raised.value.code == code
    assert isinstance(raised.value.__cause__, TokenRequestFailed)
    assert await world.sql("SELECT FROM connections") == []
