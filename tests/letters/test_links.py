"""Which links and codes do nothing, who is told what, and that no answer tells who exists."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from accounts.test_accounts import at_provider, code_of, sql
from accounts.world import HERE, OTHER, PASSWORD, PROGRAM, World, opened
from keybearer.kit import tokens
from keybearer.letters import background
from keybearer.letters.model import LIFETIMES, Kind
from keybearer.mail.model import Letter
from keybearer.signin.mailed.confirming import TypedCode
from keybearer.tenancy.model import Tenant
from signin.site import Sql

DORA = "dora@example.com"
ELSEWHERE = Tenant(UUID(int=7), "b", "B", "http://b.example.test")
KINDS: list[Kind] = ["confirm", "reset", "not_me"]


def token_of(letter: Letter) -> str:
    return letter.text.partition("#token=")[2].split()[0]


def digits_of(letter: Letter) -> str:
    return letter.text.partition("you registered: ")[2][:6]


async def mailed(world: World, kind: str) -> Letter:
    """The one mail of the kind that waits."""
    (letter,) = [each for each in await world.letters() if each.kind == kind]
    return letter


async def confirmed(world: World) -> Any:
    await world.register(DORA)
    letter = await mailed(world, "confirm")
    return await world.people.confirming.confirm(world.tenant, token_of(letter), PROGRAM)


async def link_of(world: World, kind: Kind) -> str:
    """A link that works."""
    if kind == "confirm":
        await world.register(DORA)
        return token_of(await mailed(world, "confirm"))
    entered = await confirmed(world)
    if kind == "reset":
        await world.people.resetting.ask(world.tenant, DORA)
        return token_of(await mailed(world, "reset"))
    principal = await world.services.sessions.find_principal(entered.session.token)
    await world.accounts.change_password(world.tenant, principal, PASSWORD, OTHER, HERE)
    return token_of(await mailed(world, "password_changed"))


async def use(world: World, kind: Kind, token: str, tenant: Tenant | None = None) -> str | None:
    people, where = world.people, tenant or world.tenant
    if kind == "confirm":
        return await code_of(people.confirming.confirm(where, token, PROGRAM))
    if kind == "reset":
        return await code_of(people.resetting.reset(where, token, "a lamp for every quiet otter"))
    return await code_of(people.not_me.report(where, token))


async def add_elsewhere(superuser: Sql) -> None:
    statement = "INSERT INTO tenants (id, slug, name, primary_host) VALUES ($1, 'b', 'B', 'b.example.test')"
    await asyncio.to_thread(superuser.all, statement, ELSEWHERE.id)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_link_works_once_in_its_own_place_and_time(world: World, database, kind: Kind) -> None:
    token = await link_of(world, kind)
    await add_elsewhere(Sql(database.superuser_url))
    for wrong in ("", "x", tokens.new(tokens.LETTER), tokens.new(tokens.SESSION), token[:-1] + "0", token + "0"):
        assert await use(world, kind, wrong) == "letter_ended"
    for other in set(KINDS) - {kind}:
        assert await use(world, other, token) == "letter_ended", "for something else"
    assert await use(world, kind, token, ELSEWHERE) == "letter_ended", "of another tenant"
    before = (await sql(world, f"SELECT expires_at - created_at FROM letters WHERE kind = '{kind}'")).scalar()
    assert before == LIFETIMES[kind]
    await sql(world, "UPDATE letters SET expires_at = expires_at - CAST(:by AS interval)", by=LIFETIMES[kind])
    assert await use(world, kind, token) == "letter_ended", "over"
    await sql(world, "UPDATE letters SET expires_at = expires_at + CAST(:by AS interval)", by=LIFETIMES[kind])
    assert await use(world, kind, token) is None
    assert await use(world, kind, token) == "letter_ended", "used"


@pytest.mark.parametrize("wrong_before", [0, 4, 5])
async def test_five_wrong_codes_end_the_code_and_not_the_link(world: World, wrong_before: int) -> None:
    await world.register(DORA)
    letter = await mailed(world, "confirm")
    right = digits_of(letter)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    confirm = world.people.confirming.confirm
    for _ in range(wrong_before):
        assert await code_of(confirm(world.tenant, TypedCode(DORA, wrong), PROGRAM)) == "code_wrong"
    expected = "code_wrong" if wrong_before == 5 else None
    assert await code_of(confirm(world.tenant, TypedCode(DORA, right), PROGRAM)) == expected
    assert await code_of(confirm(world.tenant, token_of(letter), PROGRAM)) == (None if expected else "letter_ended")


async def test_a_code_is_of_one_address(world: World) -> None:
    await world.register(DORA)
    right = digits_of(await mailed(world, "confirm"))
    await world.register("erin@example.com")
    await world.letters()
    for email in ("erin@example.com", "nobody@example.com", "no address"):
        typed = TypedCode(email, right)
        assert await code_of(world.people.confirming.confirm(world.tenant, typed, PROGRAM)) == "code_wrong"


ASKING = {
    "register": lambda world, email: world.register(email),
    "confirm": lambda world, email: world.people.confirming.send_again(world.tenant, email),
    "forgotten": lambda world, email: world.people.resetting.ask(world.tenant, email),
}


@pytest.mark.parametrize("asking", list(ASKING))
async def test_asking_tells_nothing_of_who_exists(world: World, asking: str) -> None:
    """Not a clock: that each address costs the same answer and one row, and that nothing else is written."""
    await confirmed(world)
    await at_provider(world, "gina@example.com")
    await world.register("unproven@example.com")
    await world.letters()
    costs = []
    for email in ("dora@example.com", "gina@example.com", "unproven@example.com", "nobody@example.com"):
        ledger = len(await world.ledger())
        answer = await ASKING[asking](world, email)
        rows = [tuple(row) for row in await sql(world, "SELECT kind FROM errands")]
        mails = (await sql(world, "SELECT count(*) FROM mails")).scalar()
        costs.append((answer, tuple(rows), mails, len(await world.ledger()) - ledger))
        await sql(world, "DELETE FROM errands")
    assert len(set(costs)) == 1, costs


@pytest.mark.parametrize(
    ("email", "asking", "kinds"),
    [
        ("dora@example.com", "register", ["registered_already"]),
        ("gina@example.com", "register", ["registered_already"]),
        ("unproven@example.com", "register", ["confirm"]),
        ("nobody@example.com", "register", ["confirm"]),
        ("dora@example.com", "confirm", []),
        ("gina@example.com", "confirm", []),
        ("unproven@example.com", "confirm", ["confirm"]),
        ("nobody@example.com", "confirm", []),
        ("DORA@example.com", "forgotten", ["reset"]),
        ("gina@example.com", "forgotten", ["no_password"]),
        ("unproven@example.com", "forgotten", ["reset"]),
        ("nobody@example.com", "forgotten", []),
        ("disabled@example.com", "forgotten", []),
        ("disabled@example.com", "confirm", []),
        ("disabled@example.com", "register", []),
    ],
)
async def test_who_is_told_what(world: World, email: str, asking: str, kinds: list[str]) -> None:
    await confirmed(world)
    await at_provider(world, "gina@example.com")
    for each in ("unproven@example.com", "disabled@example.com"):
        await world.register(each)
    await world.letters()
    await sql(world, "UPDATE users SET disabled_at = now() WHERE email = 'disabled@example.com'")
    await ASKING[asking](world, email)
    letters = await world.letters()
    assert [each.kind for each in letters] == kinds
    assert all(each.to == email.lower() for each in letters)
    if email.startswith("gina"):
        assert all("Google" in each.text for each in letters)
    assert (await sql(world, "SELECT count(*) FROM errands")).scalar() == 0


@pytest.mark.parametrize("asking", list(ASKING))
@pytest.mark.parametrize("email", ["no address", "a\x00@example.com", "dora@example.com\nBcc: x@example.com"])
async def test_what_is_no_address_is_refused(world: World, asking: str, email: str) -> None:
    assert await code_of(ASKING[asking](world, email)) == "email_invalid"


async def test_a_reset_proves_an_address_that_was_not_proven(world: World) -> None:
    await world.register(DORA)
    await world.letters()
    await world.people.resetting.ask(world.tenant, DORA)
    token = token_of(await mailed(world, "reset"))
    await world.people.resetting.reset(world.tenant, token, OTHER)
    assert await code_of(world.sign_in(DORA, OTHER)) is None


async def test_an_address_that_a_provider_proved_meanwhile_is_theirs(world: World) -> None:
    await world.register(DORA)
    token = token_of(await mailed(world, "confirm"))
    await at_provider(world, DORA)
    assert await use(world, "confirm", token) == "link_required"
    assert (await sql(world, "SELECT count(*) FROM letters")).scalar() == 1, "nothing was changed"


async def test_a_mail_is_no_second_factor(world: World) -> None:
    """An account of the time before there was mail may have one, and no proven address."""
    entered = await confirmed(world)
    principal = await world.services.sessions.find_principal(entered.session.token)
    token = await world.people.reauthentication.with_password(principal, PASSWORD, HERE)
    await world.enrol(await world.services.sessions.find_principal(token))
    await world.letters()
    await sql(world, "UPDATE users SET email_verified = false")
    await world.people.confirming.send_again(world.tenant, DORA)
    sessions = (await sql(world, "SELECT count(*) FROM sessions")).scalar()
    assert await use(world, "confirm", token_of(await mailed(world, "confirm"))) == "factor_required"
    assert (await sql(world, "SELECT email_verified FROM users")).scalar()
    assert (await sql(world, "SELECT count(*) FROM sessions")).scalar() == sessions


async def test_whoever_has_no_password_loses_their_sessions_alone(world: World) -> None:
    user = await at_provider(world, "gina@example.com")
    async with world.services.db.transaction(world.tenant.id) as tx:
        session = await world.services.sessions.open(tx, world.tenant.id, user.id, "google", "x")
        token = await world.services.links.add(tx, world.tenant.id, user.id, "not_me")
        later = await world.services.links.add(tx, world.tenant.id, user.id, "not_me")
    assert await world.people.not_me.report(world.tenant, token) is False
    assert await world.services.sessions.find_principal(session.token) is None
    assert await use(world, "not_me", later) == "letter_ended", "an older notice does not end what begins anew"
    assert ("sessions.ended_not_me", "ok", None) in await world.ledger()


async def test_a_void_password_is_no_proof_either(world: World) -> None:
    entered = await confirmed(world)
    principal = await world.services.sessions.find_principal(entered.session.token)
    await sql(world, "UPDATE passwords SET voided_at = now()")
    assert await code_of(world.sign_in(DORA)) == "password_reset_needed"
    assert await code_of(world.sign_in(DORA, OTHER)) == "credentials_wrong"
    change = world.accounts.change_password(world.tenant, principal, PASSWORD, OTHER, HERE)
    assert await code_of(change) == "password_reset_needed"
    shown = world.people.reauthentication.with_password(principal, PASSWORD, HERE)
    assert await code_of(shown) == "factor_wrong"


async def test_without_mail_it_is_the_operator_who_helps(tmp_path: Path, database) -> None:
    async with opened(tmp_path, database.url) as world:
        await world.register(DORA)
        for asking in ("confirm", "forgotten"):
            for email in (DORA, "nobody@example.com"):
                assert await code_of(ASKING[asking](world, email)) == "mail_off"
        for _ in range(6):
            await code_of(world.sign_in(DORA, "wrong"))
        for table in ("errands", "letters", "mails"):
            assert (await sql(world, f"SELECT count(*) FROM {table}")).scalar() == 0


async def test_a_lock_is_told_once(world: World) -> None:
    await confirmed(world)
    await world.letters()
    for email in (DORA, "nobody@example.com"):
        for _ in range(8):
            await code_of(world.sign_in(email, "wrong"))
    assert [(each.kind, each.to) for each in await world.letters()] == [("account_locked", DORA)]


@pytest.mark.parametrize("step", list(ASKING) + KINDS[:1] + ["reset", "not_me"])
async def test_each_step_is_limited(tmp_path: Path, database, step: str) -> None:
    limited = {"REGISTRATION_REVEALS": "false", "SIGN_IN_LIMIT": "3/minute"}
    async with opened(tmp_path, database.url, mail=True, **limited) as world:
        codes = []
        for _ in range(4):
            if step in ASKING:
                codes.append(await code_of(ASKING[step](world, "nobody@example.com")))
            else:
                codes.append(await use(world, step, "x"))  # type: ignore[arg-type]
        assert codes[-1] == "rate_limited"
        assert "rate_limited" not in codes[:3]


async def test_what_nobody_used_is_removed(world: World) -> None:
    await link_of(world, "reset")
    await world.people.resetting.ask(world.tenant, DORA)
    assert await background.prune(world.services.db) == 0
    await sql(world, "UPDATE letters SET expires_at = now() - interval '1 s'")
    await sql(world, "UPDATE errands SET created_at = now() - interval '2 hours'")
    assert await background.prune(world.services.db) == 2


async def test_leaving_takes_links_along(world: World) -> None:
    await confirmed(world)
    await world.people.resetting.ask(world.tenant, DORA)
    await world.letters()
    entered = await world.sign_in(DORA)
    principal = await world.services.sessions.find_principal(entered.session.token)
    await world.services.sign_in.erase(principal, DORA)
    assert (await sql(world, "SELECT count(*) FROM letters")).scalar() == 0
