"""Local accounts without a server: the services of an installation over the test's database."""

import base64
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from installation import App
from keybearer.bootstrap import people
from keybearer.bootstrap.people import People
from keybearer.bootstrap.services import Services, build
from keybearer.kit import settings
from keybearer.kit.principal import Principal
from keybearer.letters.background import Runner
from keybearer.lockouts.model import Source
from keybearer.mail.model import Letter
from keybearer.signin.accounts.model import Credentials, Newcomer, Second
from keybearer.signin.accounts.service import Accounts
from keybearer.signin.entrance import Client
from keybearer.tenancy.model import Tenant

PASSWORD = "violet kettle under nine bridges"
OTHER = "seven slow herons over slate"
HERE = Source("d" * 43, "192.0.2.1")
PROGRAM = Client("python-httpx/1", browser=False, source=HERE)
BROWSER = Client("Mozilla/5.0 Firefox/140.0", browser=True, source=HERE)
ORIGIN = "http://localhost:8080"


@dataclass
class Clock:
    """The time of day, which a test moves."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def on(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class World:
    services: Services
    people: People
    tenant: Tenant

    @property
    def accounts(self) -> Accounts:
        return self.people.accounts

    async def register(self, email: str = "dora@example.com", password: str = PASSWORD, **more: Any) -> Any:
        client = more.pop("client", PROGRAM)
        newcomer = Newcomer(email, password, more.pop("name", "Dora"), more.pop("invitation", None))
        return await self.accounts.register(self.tenant, newcomer, client)

    async def sign_in(self, email: str = "dora@example.com", password: str = PASSWORD, **more: Any) -> Any:
        second = Second(more.pop("totp", None), more.pop("recovery_code", None))
        credentials = Credentials(email, password, second, more.pop("new_password", None))
        return await self.accounts.sign_in(self.tenant, credentials, more.pop("client", PROGRAM))

    async def enrol(self, principal: Principal) -> App:
        begun = await self.people.enrolling.begin_totp(principal)
        app = App(str(begun.id), begun.seed)
        app.recovery_codes, _ = await self.people.enrolling.confirm_totp(principal, begun.id, app.code(-1), HERE)
        return app

    async def invite(self, email: str, role: str = "member") -> str:
        async with self.services.db.transaction(self.tenant.id) as tx:
            return await self.services.invitations.invite(tx, self.tenant.id, email, role)

    async def letters(self) -> list[Letter]:
        """Does what was asked for, and answers the mails that wait, oldest first. They are gone then."""
        await Runner(
            self.services.db, self.services.errands, self.services.tenancy, self.people.answering.handlers
        ).run()
        found = []
        async with self.services.db.transaction(self.tenant.id) as tx:
            from keybearer.mail import store

            waiting = sorted(await store.take_due(tx, 100, timedelta(0)), key=lambda each: each.created_at)
            for each in waiting:
                found.append(await self.services.mail.open(tx, each))
                await store.remove(tx, each.id)
        return found

    async def ledger(self) -> list[tuple[str, str, str | None]]:
        async with self.services.db.transaction(self.tenant.id) as tx:
            from sqlalchemy import text

            rows = await tx.execute(text("SELECT action, outcome, code FROM ledger ORDER BY id"))
            return [tuple(row) for row in rows]


@asynccontextmanager
async def opened(
    folder: Path,
    database_url: str,
    *,
    mail: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    **extra: str,
) -> AsyncIterator[World]:
    """`extra` are settings. Without any, everybody may register. `mail` is written down, and never sent."""
    usual = {"REGISTRATION_REVEALS": "true", "SIGN_IN_LIMIT": "1000/second"}
    if mail:
        usual |= {"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "keybearer@example.com"}
    found = settings.read(_environment(folder, database_url, usual | extra))
    services = build(found)
    await services.keys.start(services.db)
    await services.tenancy.start()
    made = people.build(
        found,
        db=services.db,
        keys=services.keys,
        ledger=services.ledger,
        identities=services.identities,
        invitations=services.invitations,
        hashing=services.hashing,
        sessions=services.sessions,
        programs=services.program_tokens,
        rooms=services.rooms,
        limits=services.sign_in_limits,
        mail=services.mail,
        errands=services.errands,
        links=services.links,
        notices=services.notices,
        now=now,
    )
    try:
        yield World(services, made, services.tenancy.default)
    finally:
        services.hashing.close()
        await services.outbound.aclose()
        await services.db.close()


def _environment(folder: Path, database_url: str, extra: dict[str, str]) -> dict[str, str]:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, key in (("keyring", base64.b64encode(os.urandom(32))), ("signing", pem)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "primary").write_text("k1")
        (folder / name / "k1").write_bytes(key)
    values = {
        "PUBLIC_URL": ORIGIN,
        "DATABASE_URL": database_url,
        "KEYRING_DIR": str(folder / "keyring"),
        "SIGNING_KEYRING_DIR": str(folder / "signing"),
        **extra,
    }
    return {f"KEYBEARER_{name}": value for name, value in values.items()}
