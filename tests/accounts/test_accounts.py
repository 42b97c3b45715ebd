"""Who may register, who signs in, and what an answer tells about who exists."""

import asyncio
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from accounts.world import BROWSER, HERE, OTHER, PASSWORD, World, opened
from keybearer.identity.model import Presented
from keybearer.identity.passwords.hashing import Hashing
from keybearer.kit import context
from keybearer.kit.context import RequestContext
from keybearer.kit.errors import KeybearerError
from sqlalchemy import text


async def code_of(doing: Any) -> str | None:
    try:
        await doing
    except KeybearerError as error:
        return error.code
    return None


def presented(email: str, *, verified: bool = True) -> Presented:
    return Presented("google", "https://accounts.example.com", f"sub-{email}", email, verified, "Dora", None)


async def at_provider(world: World, email: str, *, verified: bool = True) -> Any:
    async with world.services.db.transaction(world.tenant.id) as tx:
        return await world.services.identities.sign_in(tx, world.tenant.id, presented(email, verified=verified))


async def sql(world: World, statement: str, **values: Any) -> Any:
    async with world.services.db.transaction(world.tenant.id) as tx:
        return await tx.execute(text(statement), values)


MODES = {
    "open, revealing": {},
    "open, without mail": {"REGISTRATION_REVEALS": "false"},
    "by invitation": {"REGISTRATION": "invite"},
    "closed": {"REGISTRATION": "closed"},
}


@pytest.mark.parametrize(
    ("mode", "stranger", "invited", "at_provider_stranger", "at_provider_invited"),
    [
        ("open, revealing", None, None, None, None),
        ("open, without mail", "invitation_needed", None, None, None),
        ("by invitation", "invitation_needed", None, "invitation_needed", None),
        ("closed", "registration_closed", "registration_closed", "registration_closed", "registration_closed"),
    ],
)
async def test_who_may_register(
    tmp_path: Path, database, mode, stranger, invited, at_provider_stranger, at_provider_invited
) -> None:
    async with opened(tmp_path, database.url, **MODES[mode]) as world:
        assert await code_of(world.register("dora@example.com")) == stranger
        invitation = await world.invite("erin@example.com", "admin")
        assert await code_of(world.register("fred@example.com", invitation=invitation)) is not None
        assert await code_of(world.register("Erin@example.com", invitation=invitation)) == invited
        assert await code_of(at_provider(world, "gina@example.com")) == at_provider_stranger
        await world.invite("hans@example.com")
        assert await code_of(at_provider(world, "Hans@example.com")) == at_provider_invited
        # It works once.
        assert await code_of(world.register("erin@example.com", invitation=invitation)) is not None


async def test_an_invitation_says_the_role_and_proves_the_address(world: World) -> None:
    signed_in = await world.register("erin@example.com", invitation=await world.invite("erin@example.com", "admin"))
    assert (signed_in.user.role, signed_in.user.email_verified) == ("admin", True)
    plain = await world.register("fred@example.com")
    assert (plain.user.role, plain.user.email_verified) == ("member", False)


async def test_a_newer_or_expired_invitation_ends_an_older(world: World) -> None:
    first, second = await world.invite("erin@example.com"), await world.invite("erin@example.com")
    assert await code_of(world.register("erin@example.com", invitation=first)) == "invitation_needed"
    await sql(world, "UPDATE invitations SET expires_at = now() - interval '1 s'")
    assert await code_of(world.register("erin@example.com", invitation=second)) == "invitation_needed"


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("dora@example.com", PASSWORD, None),
        (" dora@example.com ", PASSWORD, None),
        ("dora", PASSWORD, "email_invalid"),
        ("dora@localhost", PASSWORD, "email_invalid"),
        ("dora@example.com\nBcc: x@example.com", PASSWORD, "email_invalid"),
        ("dora@exa\u0000mple.com", PASSWORD, "email_invalid"),
        ("dora@example.com", "short", "password_refused"),
        ("dora@example.com", "passwordpassword", "password_refused"),
        ("dora@example.com", "dora@example.com", "password_refused"),
    ],
)
async def test_what_may_be_registered(world: World, email: str, password: str, code: str | None) -> None:
    assert await code_of(world.register(email, password)) == code


async def test_a_refusal_says_every_reason(world: World) -> None:
    with pytest.raises(KeybearerError) as refused:
        await world.register(password="password")
    assert refused.value.extra == {"reasons": ["too_short", "breached"], "minimum": 15}


async def test_an_address_is_registered_once(world: World) -> None:
    results = await asyncio.gather(*(code_of(world.register("Dora@example.com")) for _ in range(4)))
    assert sorted(map(str, results)) == ["None", *["address_taken"] * 3]
    assert await code_of(world.register("dora@EXAMPLE.com")) == "address_taken"


async def test_an_address_that_a_provider_proved_is_linked_and_not_taken(world: World) -> None:
    await at_provider(world, "dora@example.com")
    await at_provider(world, "erin@example.com", verified=False)
    assert await code_of(world.register("dora@example.com")) == "link_required"
    assert await code_of(world.register("erin@example.com")) is None


async def test_nobody_takes_over_an_account_by_registering_before_its_owner(world: World) -> None:
    """Somebody registers with your address, unproven; you come with a provider, and are somebody else."""
    theirs = (await world.register("dora@example.com")).user
    mine = await at_provider(world, "dora@example.com")
    assert mine.id != theirs.id


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("dora@example.com", PASSWORD, None),
        (" DORA@example.com", PASSWORD, None),
        ("dora@example.com", PASSWORD + " ", "credentials_wrong"),
        ("dora@example.com", OTHER, "credentials_wrong"),
        ("nobody@example.com", PASSWORD, "credentials_wrong"),
        ("no address", PASSWORD, "credentials_wrong"),
        ("gina@example.com", PASSWORD, "credentials_wrong"),
    ],
)
async def test_signing_in(world: World, email: str, password: str, code: str | None) -> None:
    await world.register()
    await at_provider(world, "gina@example.com")
    assert await code_of(world.sign_in(email, password)) == code
    expected = ("sign_in.failed", "failed", code) if code else ("sign_in", "ok", None)
    assert (await world.ledger())[-1] == expected


async def test_known_and_unknown_cost_the_same_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a clock: that each verifies exactly one hash, and writes one entry."""
    await world.register()
    verified: list[bool] = []
    hashing: Hashing = world.services.hashing
    inner = hashing._verify
    monkeypatch.setattr(hashing, "_verify", lambda *given: verified.append(True) or inner(*given))
    for email in ("dora@example.com", "nobody@example.com"):
        before, written = len(verified), len(await world.ledger())
        assert await code_of(world.sign_in(email, OTHER)) == "credentials_wrong"
        assert (len(verified) - before, len(await world.ledger()) - written) == (1, 1)


async def test_a_disabled_person_is_told_so_only_with_the_right_password(world: World) -> None:
    await world.register()
    await sql(world, "UPDATE users SET disabled_at = now()")
    assert await code_of(world.sign_in(password=OTHER)) == "credentials_wrong"
    assert await code_of(world.sign_in()) == "user_disabled"


async def test_an_imported_hash_is_replaced_at_the_first_sign_in(world: World) -> None:
    await world.register()
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await sql(world, "UPDATE passwords SET hash = :old", old=old)
    assert await code_of(world.sign_in(password=OTHER)) == "credentials_wrong"
    assert (await sql(world, "SELECT hash FROM passwords")).scalar() == old
    assert await code_of(world.sign_in()) is None
    assert (await sql(world, "SELECT hash FROM passwords")).scalar().startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await code_of(world.sign_in()) is None


async def test_with_a_factor_a_short_password_is_enough(world: World) -> None:
    entered = await world.register()
    principal = await world.services.sessions.find_principal(entered.session.token)
    change = (world.tenant, principal, PASSWORD, "x7#pQ!zr", HERE)
    assert await code_of(world.accounts.change_password(*change)) == "password_refused"
    await world.enrol(principal)
    assert await code_of(world.accounts.change_password(*change)) is None


async def test_with_mail_known_and_unknown_are_answered_alike(tmp_path: Path, database) -> None:
    async with opened(tmp_path, database.url, mail=True, REGISTRATION_REVEALS="false") as world:
        await at_provider(world, "gina@example.com")
        for email in ("dora@example.com", "dora@example.com", "gina@example.com"):
            assert await world.register(email) is None
        assert [(each.kind, each.to) for each in await world.letters()] == [
            ("confirm", "dora@example.com"),
            ("confirm", "dora@example.com"),
            ("registered_already", "gina@example.com"),
        ]
        assert await code_of(world.sign_in()) == "address_unproven"
        await sql(world, "UPDATE users SET email_verified = true")
        assert await code_of(world.sign_in()) == "password_reset_needed", "of two that registered, nobody knows which"
        await sql(world, "UPDATE passwords SET voided_at = NULL")
        assert await code_of(world.sign_in()) is None


async def test_changing_the_password(tmp_path: Path, database) -> None:
    async with opened(tmp_path, database.url, PASSWORD_HISTORY="1") as world:
        first = await world.register()
        second = await world.sign_in()
        sessions = world.services.sessions
        principal = await sessions.find_principal(second.session.token)
        change = world.accounts.change_password
        assert await code_of(change(world.tenant, principal, OTHER, "x", HERE)) == "password_wrong"
        assert await code_of(change(world.tenant, principal, PASSWORD, PASSWORD, HERE)) == "password_refused"
        assert await code_of(change(world.tenant, principal, PASSWORD, OTHER, HERE)) is None
        assert await sessions.find_principal(first.session.token) is None
        assert await sessions.find_principal(second.session.token) is not None
        assert await code_of(world.sign_in()) == "credentials_wrong"
        assert await code_of(world.sign_in(password=OTHER)) is None
        refused = await code_of(change(world.tenant, principal, OTHER, PASSWORD, HERE))
        assert refused == "password_refused", "the one before is remembered"
        third = "a lamp for every quiet otter"
        assert await code_of(change(world.tenant, principal, OTHER, third, HERE)) is None
        assert await code_of(change(world.tenant, principal, third, PASSWORD, HERE)) is None, "one before, and no more"
        assert ("password.changed", "failed", "password_wrong") in await world.ledger()
        assert ("password.changed", "ok", None) in await world.ledger()


async def test_of_two_changes_at_once_one_counts(world: World) -> None:
    signed_in = await world.register()
    principal = await world.services.sessions.find_principal(signed_in.session.token)
    results = await asyncio.gather(
        *(
            code_of(world.accounts.change_password(world.tenant, principal, PASSWORD, OTHER + str(n), HERE))
            for n in range(3)
        )
    )
    assert sorted(map(str, results)) == ["None", "password_wrong", "password_wrong"]


async def test_whoever_has_no_password_changes_none(world: World) -> None:
    user = await at_provider(world, "gina@example.com")
    async with world.services.db.transaction(world.tenant.id) as tx:
        session = await world.services.sessions.open(tx, world.tenant.id, user.id, "google", "x")
    principal = await world.services.sessions.find_principal(session.token)
    change = world.accounts.change_password
    assert await code_of(change(world.tenant, principal, PASSWORD, OTHER, HERE)) == "no_password"


async def test_a_password_past_its_age_is_replaced_at_sign_in(tmp_path: Path, database) -> None:
    async with opened(tmp_path, database.url, PASSWORD_DAYS="90") as world:
        before = await world.register()
        await sql(world, "UPDATE passwords SET changed_at = now() - interval '91 days'")
        assert await code_of(world.sign_in(password=OTHER)) == "credentials_wrong"
        assert await code_of(world.sign_in()) == "password_expired"
        assert await code_of(world.sign_in(new_password=PASSWORD)) == "password_refused"
        assert await code_of(world.sign_in(new_password=OTHER)) is None
        assert await world.services.sessions.find_principal(before.session.token) is None
        assert await code_of(world.sign_in(password=OTHER)) is None


async def test_a_browser_gets_no_tokens(world: World) -> None:
    signed_in = await world.register(client=BROWSER)
    assert signed_in.pair is None
    assert (await sql(world, "SELECT count(*) FROM refresh_families")).scalar() == 0


async def test_leaving_takes_everything_along(world: World) -> None:
    signed_in = await world.register()
    principal = await world.services.sessions.find_principal(signed_in.session.token)
    await world.services.api_keys.create(principal, "robot", None, None)
    await world.services.sign_in.erase(principal, "dora@example.com")
    for table in ("users", "passwords", "sessions", "refresh_families", "refresh_tokens", "api_keys", "bearers"):
        assert (await sql(world, f"SELECT count(*) FROM {table}")).scalar() == 0, table
    assert await code_of(world.register()) is None


async def test_somebody_with_a_password_may_unlink_their_last_provider(world: World) -> None:
    signed_in = await world.register()
    user_id, identities = signed_in.user.id, world.services.identities
    async with world.services.db.transaction(world.tenant.id) as tx:
        await identities.link(tx, world.tenant.id, user_id, presented("dora@example.com"))
        (linked,) = await identities.identities_of(tx, world.tenant.id, user_id)
        await identities.unlink(tx, world.tenant.id, user_id, linked.id)
        assert await identities.identities_of(tx, world.tenant.id, user_id) == []


async def test_guesses_are_limited_for_each_account_known_or_not_and_the_right_one_waits_too(
    tmp_path: Path, database
) -> None:
    async with opened(tmp_path, database.url, SIGN_IN_LIMIT="3/minute") as world:
        await world.register()
        for email in ("dora@example.com", "nobody@example.com"):
            codes = []
            for number, password in enumerate(["wrong", "wrong", "wrong", PASSWORD]):
                token = context.request.set(RequestContext("r", f"203.0.113.{number}"))
                codes.append(await code_of(world.sign_in(email, password)))
                context.request.reset(token)
            assert codes == ["credentials_wrong"] * 3 + ["rate_limited"]
