"""What people with psql see of sign-ins, and that it is their tenant's alone."""

from typing import Any
from uuid import uuid4

from accounts.test_second_factors import guess
from accounts.world import World
from sqlalchemy import text


async def rows(world: World, statement: str, tenant: Any = None) -> list[tuple[Any, ...]]:
    async with world.services.db.transaction(tenant or world.tenant.id) as tx:
        return [tuple(row) for row in await tx.execute(text(statement))]


VIEWS = {
    "SELECT email, signed_in_with, proved_by FROM active_sessions": [("dora@example.com", "password", "password")],
    "SELECT email, method, source, locks FROM locked_accounts": [("dora@example.com", "password", "strangers", 1)],
    "SELECT sign_ins, people, failures, lockouts, registrations FROM auth_statistics": [(1, 1, 6, 1, 1)],
}


async def test_each_view_says_what_happened_in_its_tenant(world: World) -> None:
    await world.register()
    await guess(world, 6)
    for statement, expected in VIEWS.items():
        assert await rows(world, statement) == expected, statement
        assert await rows(world, statement, uuid4()) == [], "another tenant's"
    events = await rows(world, "SELECT email, action, outcome, method, code FROM recent_auth_events")
    assert events[0] == ("dora@example.com", "account.registered", "ok", None, None)
    assert ("dora@example.com", "sign_in.failed", "failed", "password", "account_locked") in events
