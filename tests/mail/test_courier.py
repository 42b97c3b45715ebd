"""Over real SMTP: what is sent, what is tried again, what is given up, and that nothing of it stays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP
from conftest import TENANT
from installation import free_port
from keybearer.mail import background
from mail.conftest import ADDRESS, Office
from sqlalchemy import text


async def waiting(office: Office) -> int:
    return (await office.sql("SELECT count(*) FROM mails"))[0][0]


async def make_due(office: Office) -> None:
    await office.sql("UPDATE mails SET due_at = now() - interval '1 s'")


async def test_a_mail_arrives_as_it_was_written_and_nothing_stays(office: Office, sandbox) -> None:
    await office.post(subject="New sign-in", body="Grüße. Code 123456, or https://kb.example.com/x?y=1\n")
    sealed = (await office.sql("SELECT * FROM mails"))[0]
    assert b"dora" not in sealed["sealed"]
    assert sealed["user_id"] == office.person

    await office.courier().run()
    (mail,) = sandbox.mail(ADDRESS)
    assert (mail["subject"], mail["code"], mail["links"]) == ("New sign-in", "123456", ["https://kb.example.com/x?y=1"])
    assert mail["from"] == "keybearer@example.com"
    assert "Grüße" in mail["text"]
    assert await waiting(office) == 0


async def test_two_couriers_send_nothing_twice(office: Office, sandbox) -> None:
    for number in range(45):
        await office.post(subject=f"No. {number}")
    await asyncio.gather(office.courier().run(), office.courier().run())

    assert sorted(mail["subject"] for mail in sandbox.mail(ADDRESS)) == sorted(f"No. {n}" for n in range(45))
    assert await waiting(office) == 0


async def test_without_a_server_nothing_is_lost_and_it_is_sent_when_one_is_back(office: Office, sandbox) -> None:
    await office.post()
    await office.courier(port=free_port()).run()
    row = (await office.sql("SELECT attempts, due_at > now() + interval '10 s' AS later FROM mails"))[0]
    assert (row["attempts"], row["later"]) == (1, True)
    await office.courier().run()
    assert not sandbox.mail(ADDRESS), "it is not due yet"

    await make_due(office)
    await office.courier().run()
    assert len(sandbox.mail(ADDRESS)) == 1


@pytest.mark.parametrize("server", [{"start_tls": True}, {"use_tls": True}, {"username": "me", "password": "s3cret"}])
async def test_a_server_without_what_is_needed_gets_nothing(office: Office, sandbox, server: dict[str, object]) -> None:
    await office.post()
    await office.courier(**server).run()

    assert not sandbox.mail(ADDRESS)
    assert await waiting(office) == 1


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    """A port at which somebody picks up and says nothing."""
    done = asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    done.set()
    server.close()
    await server.wait_closed()


async def test_a_courier_that_is_killed_after_it_claimed_loses_nothing(office: Office, sandbox, silent: int) -> None:
    await office.post()
    task = asyncio.create_task(office.courier(port=silent).run())
    await asyncio.sleep(0.3)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert await waiting(office) == 1
    await office.courier().run()
    assert not sandbox.mail(ADDRESS), "it is still claimed"

    await make_due(office)
    await office.courier().run()
    assert len(sandbox.mail(ADDRESS)) == 1


class Strict:
    """Refuses addresses and mails as their names say."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def handle_RCPT(self, _server, _session, envelope, address: str, _options) -> str:
        if address.startswith(("4", "5")):
            return f"{address[:3]} not here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope) -> str:
        to = envelope.rcpt_tos[0]
        if to.startswith("data"):
            return f"{to[4:7]} not this"
        self.taken.append(to)
        return "250 OK"


@pytest.fixture
async def strict() -> AsyncIterator[tuple[Strict, int]]:
    handler, loop = Strict(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, hostname="strict.invalid", loop=loop), "127.0.0.1", 0)
    yield handler, server.sockets[0].getsockname()[1]
    server.close()


async def test_a_refusal_is_for_one_mail_and_for_good_or_for_now(office: Office, strict: tuple[Strict, int]) -> None:
    handler, port = strict
    for name in ("550", "one", "450", "data554", "data451", "two", "not an address"):
        await office.post(f"{name}@example.com")
    await office.courier(port=port).run()

    assert sorted(handler.taken) == ["one@example.com", "two@example.com"]
    assert await waiting(office) == 2
    assert all(row["later"] for row in await office.sql("SELECT due_at > now() AS later FROM mails"))


async def test_what_comes_too_late_is_dropped(office: Office, sandbox) -> None:
    await office.post()
    await office.sql("UPDATE mails SET expires_at = now() - interval '1 s'")
    await office.courier().run()
    assert not sandbox.mail(ADDRESS)

    assert await background.prune(office.db) == 1
    assert await waiting(office) == 0


async def test_what_cannot_be_read_any_more_is_dropped(office: Office, sandbox) -> None:
    await office.post()
    await office.post(subject="Another")
    await office.sql("UPDATE mails SET sealed = sealed || 'x' WHERE id = (SELECT min(id::text)::uuid FROM mails)")
    await office.courier().run()

    assert len(sandbox.mail(ADDRESS)) == 1
    assert await waiting(office) == 0


async def test_a_subject_cannot_bring_headers_along(office: Office, sandbox) -> None:
    await office.post(subject="Hello\r\nBcc: bob@example.com")
    await office.courier().run()

    assert [mail["subject"] for mail in sandbox.mail(ADDRESS)] == ["Hello Bcc: bob@example.com"]
    assert not sandbox.mail("bob@example.com")


async def test_another_tenant_sees_no_mail(office: Office) -> None:
    await office.post()
    counts = []
    for tenant in (TENANT, UUID(int=7)):
        async with office.db.transaction(tenant) as tx:
            counts.append((await tx.execute(text("SELECT count(*) FROM mails"))).scalar())
    assert counts == [1, 0]


async def test_mail_goes_with_the_person(office: Office) -> None:
    await office.post()
    async with office.db.transaction(TENANT) as tx:
        await office.mail.erase(tx, TENANT, office.person)

    assert await waiting(office) == 0
