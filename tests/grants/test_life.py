"""A grant from its creation to each of its ends."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from keybearer.grants.model import Wish
from keybearer.kit import tokens
from keybearer.kit.errors import BadInput, Conflict, NotFound


async def until_unknown(desk, token: str) -> float:
    """Seconds until this process refuses the token."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(2):
        while await desk.resolver.resolve(token) is not None:
            pass
    return loop.time() - began


async def test_a_new_grant_resolves_to_what_was_asked_for(desk):
    spotify = await desk.connect("spotify", "play", "read")
    wish = Wish(agent="DJ", providers=["spotify"], scopes=["read"], ttl_seconds=600, reason="Party")
    grant, chosen, token = await desk.grants.create(desk.alice, wish)
    assert tokens.is_well_formed(token, tokens.GRANT)
    assert [one.id for one in chosen] == [spotify]
    resolved = await desk.resolver.resolve(token)
    assert resolved is not None
    assert (resolved.kind, resolved.subject_id, resolved.user_id) == ("grant", grant.id, desk.alice.user_id)
    assert (resolved.agent, resolved.scopes, resolved.connections) == ("DJ", ("read",), ((spotify, "spotify"),))
    assert abs(resolved.expires_at - datetime.now(UTC) - timedelta(seconds=600)) < timedelta(seconds=30)


async def test_the_secret_is_stored_nowhere(desk):
    await desk.connect("spotify")
    _, token = await desk.give(*desk.held.all)
    for table in ("grants", "bearers", "ledger", "outbox"):
        assert token not in str(await desk.rows(f"SELECT * FROM {table}"))


async def test_the_ledger_says_what_was_given_and_taken_back(desk):
    connection = await desk.connect("spotify")
    grant, _, _ = await desk.grants.create(
        desk.alice, Wish(agent="DJ", connections=[connection], reason="Party"), via="keybearer run"
    )
    await desk.grants.revoke(desk.alice, grant.id)
    created, revoked = await desk.rows("SELECT * FROM ledger ORDER BY id")
    assert (created["action"], revoked["action"]) == ("grant.created", "grant.revoked")
    assert (created["actor_kind"], created["connection_id"], created["provider"]) == ("person", connection, "spotify")
    assert created["grant_id"] == revoked["grant_id"] == grant.id
    detail = json.loads(await desk.opened(created))
    assert (detail["agent"], detail["reason"], detail["via"]) == ("DJ", "Party", "keybearer run")
    assert b"DJ" not in bytes(created["detail"]), "what is personal is sealed"
    events = await desk.rows("SELECT name, data FROM outbox")
    assert events == [{"name": "grant.revoked", "data": {"id": str(grant.id)}}]


async def test_a_revoked_grant_is_dead_at_once_and_gone_from_the_list(desk):
    await desk.connect("spotify")
    kept, _ = await desk.give(*desk.held.all)
    ended, token = await desk.give(*desk.held.all)
    assert await desk.resolver.resolve(token) is not None
    await desk.grants.revoke(desk.alice, ended)
    assert await until_unknown(desk, token) < 1
    assert [grant.id for grant, _ in await desk.grants.list_live(desk.alice)] == [kept]
    with pytest.raises(NotFound):
        await desk.grants.revoke(desk.alice, ended)


async def test_nobody_revokes_or_sees_the_grants_of_another(desk):
    await desk.connect("spotify")
    grant_id, token = await desk.give(*desk.held.all)
    with pytest.raises(NotFound) as raised:
        await desk.grants.revoke(desk.bob, grant_id)
    assert raised.value.code == "grant_not_found"
    assert await desk.grants.list_live(desk.bob) == []
    assert await desk.resolver.resolve(token) is not None
    with pytest.raises(NotFound):
        await desk.give(*desk.held.all, person=desk.bob)


async def test_refused_wishes_leave_nothing_behind(desk):
    await desk.connect("spotify", "play")
    await desk.connect("spotify", "play")
    for wish, error in (
        (Wish(agent="DJ", providers=["spotify"]), Conflict),
        (Wish(agent="DJ", connections=list(desk.held.all), scopes=["admin"]), BadInput),
        (Wish(agent="", connections=list(desk.held.all)), BadInput),
    ):
        with pytest.raises(error):
            await desk.grants.create(desk.alice, wish)
    assert await desk.rows("SELECT 1 FROM grants UNION ALL SELECT 1 FROM bearers UNION ALL SELECT 1 FROM ledger") == []


async def test_the_list_is_newest_first_and_paged(desk):
    await desk.connect("spotify")
    given = [(await desk.give(*desk.held.all, agent=f"A{number}"))[0] for number in range(5)]
    first = await desk.grants.list_live(desk.alice, limit=2)
    second = await desk.grants.list_live(desk.alice, after=first[-1][0].id, limit=2)
    third = await desk.grants.list_live(desk.alice, after=second[-1][0].id, limit=2)
    assert [grant.id for grant, _ in first + second + third] == given[::-1]
    assert [one.provider for one in first[0][1]] == ["spotify"]


async def test_a_grant_that_expired_is_neither_listed_nor_resolved(desk):
    await desk.connect("spotify")
    _, token = await desk.give(*desk.held.all)
    await desk.rows("UPDATE grants SET expires_at = now() - interval '1 second' RETURNING id")
    assert await desk.grants.list_live(desk.alice) == []
    async with desk.db.transaction(desk.alice.tenant_id) as tx:
        assert await desk.grants.agents_of(tx, desk.alice.tenant_id, desk.alice.user_id) == {}
    assert await desk.resolver.resolve(token) is None


async def test_a_disconnect_ends_what_holds_nothing_else_and_shrinks_the_rest(desk):
    spotify, github = await desk.connect("spotify"), await desk.connect("github")
    _, only = await desk.give(spotify)
    both_id, both = await desk.give(spotify, github)
    _, other = await desk.give(github)
    for token in (only, both, other):
        assert await desk.resolver.resolve(token) is not None
    async with desk.db.transaction(desk.alice.tenant_id) as tx:
        assert await desk.grants.end_grants_of(tx, desk.alice.tenant_id, spotify) == 1
    await until_unknown(desk, only)
    async with asyncio.timeout(2):
        while (left := await desk.resolver.resolve(both)) and len(left.connections) == 2:
            pass
    assert left is not None
    assert (left.subject_id, left.connections) == (both_id, ((github, "github"),))
    assert await desk.resolver.resolve(other) is not None


async def test_all_grants_of_a_person_end_together_and_nobody_elses(desk):
    mine = await desk.connect("spotify")
    theirs = await desk.connect("spotify", person=desk.bob)
    ended = [(await desk.give(mine))[1] for _ in range(3)]
    _, kept = await desk.give(theirs, person=desk.bob)
    async with desk.db.transaction(desk.alice.tenant_id) as tx:
        assert await desk.grants.end_all(tx, desk.alice.tenant_id, desk.alice.user_id) == 3
    for token in ended:
        await until_unknown(desk, token)
    assert await desk.resolver.resolve(kept) is not None
    async with desk.db.transaction(desk.alice.tenant_id) as tx:
        assert await desk.grants.end_all(tx, desk.alice.tenant_id, desk.alice.user_id) == 0


async def test_erasure_leaves_no_grant_of_the_person(desk):
    mine = await desk.connect("spotify")
    _, token = await desk.give(mine)
    async with desk.db.transaction(desk.alice.tenant_id) as tx:
        await desk.grants.erase(tx, desk.alice.tenant_id, desk.alice.user_id)
    await until_unknown(desk, token)
    assert await desk.rows("SELECT 1 FROM grants UNION ALL SELECT 1 FROM bearers") == []


async def test_agents_are_named_by_connection_once(desk):
    spotify, github = await desk.connect("spotify"), await desk.connect("github")
    await desk.give(spotify, agent="DJ")
    await desk.give(spotify, github, agent="Butler")
    await desk.give(spotify, agent="DJ")
    async with desk.db.transaction(desk.alice.tenant_id) as tx:
        named = await desk.grants.agents_of(tx, desk.alice.tenant_id, desk.alice.user_id)
    assert named == {spotify: ["Butler", "DJ"], github: ["Butler"]}


async def test_last_use_is_kept_in_memory_and_never_moves_back(desk):
    await desk.connect("spotify")
    grant_id, _ = await desk.give(*desk.held.all)
    desk.last_use.used(desk.alice.tenant_id, grant_id)
    await desk.last_use.flush()
    first = (await desk.grants.list_live(desk.alice))[0][0].last_used_at
    assert first is not None
    await desk.rows("UPDATE grants SET last_used_at = last_used_at + interval '1 hour' RETURNING id")
    desk.last_use.used(desk.alice.tenant_id, grant_id)
    await desk.last_use.stop()
    assert (await desk.grants.list_live(desk.alice))[0][0].last_used_at == first + timedelta(hours=1)
