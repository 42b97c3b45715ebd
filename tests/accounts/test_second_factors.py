"""A password and what is asked besides, who is locked out by whose guesses, and what a recovery code still opens."""

from dataclasses import replace
from typing import Any

import pytest
from accounts.world import HERE, OTHER, PASSWORD, PROGRAM, World
from keybearer.identity.passwords.hashing import Hashing
from keybearer.identity.passwords.policy import Policy
from keybearer.identity.passwords.service import Passwords
from keybearer.kit.errors import KeybearerError
from keybearer.lockouts.model import Source
from keybearer.signin.accounts.guessing import GuardedPasswords
from sqlalchemy import text

ELSEWHERE = replace(PROGRAM, source=Source(None, "198.51.100.7"))


async def said(doing: Any) -> str | None:
    try:
        await doing
    except KeybearerError as error:
        return error.code
    return None


async def guess(world: World, times: int, **more: Any) -> list[str | None]:
    return [await said(world.sign_in(password=OTHER, client=ELSEWHERE, **more)) for _ in range(times)]


@pytest.mark.parametrize(
    ("password", "shown", "code"),
    [
        (PASSWORD, "nothing", "factor_required"),
        (PASSWORD, "a wrong code", "factor_wrong"),
        (PASSWORD, "the code", None),
        (PASSWORD, "a recovery code", None),
        (OTHER, "the code", "credentials_wrong"),
        (OTHER, "nothing", "credentials_wrong"),
    ],
)
async def test_a_second_factor_is_asked_after_the_password(
    world: World, password: str, shown: str, code: str | None
) -> None:
    app = await world.enrol(await person(world))
    second = {
        "nothing": {},
        "a wrong code": {"totp": "000000"},
        "the code": {"totp": app.code()},
        "a recovery code": {"recovery_code": app.recovery_codes[0]},
    }[shown]
    assert await said(world.sign_in(password=password, **second)) == code


async def person(world: World) -> Any:
    entered = await world.register()
    return await world.services.sessions.find_principal(entered.session.token)


async def test_what_a_person_has_is_named(world: World) -> None:
    await world.enrol(await person(world))
    with pytest.raises(KeybearerError) as refused:
        await world.sign_in()
    assert refused.value.extra == {"factors": ["totp", "recovery_code"]}


@pytest.mark.parametrize("email", ["dora@example.com", "nobody@example.com"])
async def test_guesses_lock_whoever_exists_or_not(world: World, email: str) -> None:
    await world.register()
    assert await guess(world, 6, email=email) == ["credentials_wrong"] * 5 + ["account_locked"]


async def test_an_operator_lifts_a_lock_with_a_new_password(world: World) -> None:
    await world.register()
    await guess(world, 6)
    await world.people.operating.reset_password(world.tenant, "dora@example.com", OTHER)
    assert await said(world.sign_in(password=OTHER, client=ELSEWHERE)) is None


async def test_guesses_of_strangers_do_not_keep_the_owner_out(world: World) -> None:
    await world.register()
    await guess(world, 6)
    assert await said(world.sign_in(client=ELSEWHERE)) == "account_locked", "the right one is not looked at either"
    assert await said(world.sign_in()) is None, "a browser that came in before"


async def test_a_recovery_code_gets_through_the_lock_and_has_a_limit_of_its_own(world: World) -> None:
    app = await world.enrol(await person(world))
    await guess(world, 6)
    attempt = {"client": ELSEWHERE}
    assert await said(world.sign_in(**attempt, totp=app.code())) == "account_locked"
    assert await said(world.sign_in(**attempt, recovery_code=app.recovery_codes[0])) is None
    assert await said(world.sign_in(**attempt, recovery_code=app.recovery_codes[0])) == "factor_wrong", "it was used"


async def test_through_the_lock_no_password_can_be_guessed(world: World) -> None:
    app = await world.enrol(await person(world))
    await guess(world, 6)
    tries = await guess(world, 6, recovery_code="0000-0000-0000")
    assert tries == ["factor_wrong"] * 5 + ["account_locked"]
    assert await guess(world, 1, recovery_code=app.recovery_codes[0]) == ["account_locked"]


async def test_nobody_has_no_recovery_codes_and_is_told_the_same(world: World) -> None:
    await guess(world, 6, email="nobody@example.com")
    tries = await guess(world, 6, email="nobody@example.com", recovery_code="0000-0000-0000")
    assert tries == ["factor_wrong"] * 5 + ["account_locked"]


async def test_changing_the_password_is_guessing_too(world: World) -> None:
    principal = await person(world)
    change = world.accounts.change_password
    wrong = [await said(change(world.tenant, principal, OTHER, PASSWORD, HERE)) for _ in range(6)]
    assert wrong == ["password_wrong"] * 5 + ["account_locked"]


async def test_what_was_not_looked_at_was_no_guess(world: World) -> None:
    """More than can be hashed come at once, and are told so."""
    owner = await person(world)
    full = GuardedPasswords(world.services.db, Passwords(Hashing(waiting=0), Policy()), world.people.lockouts)
    again = [full.verify(world.tenant.id, owner.user_id, OTHER, ELSEWHERE.source) for _ in range(6)]
    assert [await said(each) for each in again] == ["busy"] * 6
    assert await guess(world, 6) == ["credentials_wrong"] * 5 + ["account_locked"]


async def test_a_session_is_proved_by_what_opened_it(world: World) -> None:
    principal = await person(world)
    await world.people.step_up.require(principal)
    async with world.services.db.transaction(world.tenant.id) as tx:
        await tx.execute(text("UPDATE sessions SET proved_at = now() - interval '16 minutes'"))
    assert await said(world.people.step_up.require(principal)) == "reauthenticate"
    again = world.people.reauthentication.with_password
    assert await said(again(principal, OTHER, HERE)) == "factor_wrong"
    assert await said(again(principal, PASSWORD, HERE)) is None
    await world.people.step_up.require(principal)
