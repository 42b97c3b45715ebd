"""A person in a database of the test's own, and what sends their mail to the sandbox's inbox."""

import base64
import os
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from conftest import TENANT
from keybearer.keys import keyring
from keybearer.keys.service import Keys
from keybearer.kit.database import Database
from keybearer.mail.background import Courier
from keybearer.mail.model import Message, Server
from keybearer.mail.service import Mail
from keybearer.mail.smtp import Post
from sqlalchemy import text

ADDRESS = "dora@example.com"


@dataclass(frozen=True)
class Office:
    db: Database
    mail: Mail
    person: UUID
    smtp_port: int
    superuser_url: str

    def courier(self, **server: object) -> Courier:
        values = {"host": "127.0.0.1", "port": self.smtp_port, "username": None, "password": None, "use_tls": False}
        post = Post(Server(**values | {"start_tls": False} | server), sender="keybearer@example.com", name="Keybearer")  # type: ignore[arg-type]
        return Courier(self.db, self.mail, post)

    async def post(
        self, to: str = ADDRESS, *, subject: str = "Hello", body: str = "Code 123456", hours: int = 1
    ) -> None:
        message = Message("test", subject, body, timedelta(hours=hours))
        async with self.db.transaction(TENANT) as tx:
            await self.mail.post(tx, TENANT, self.person, to, message)

    async def sql(self, statement: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.superuser_url, server_settings={"search_path": "keybearer"})
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()


@pytest.fixture
async def office(db: Database, database, sandbox, tmp_path) -> Office:
    (tmp_path / "primary").write_text("k1")
    (tmp_path / "k1").write_text(base64.b64encode(os.urandom(32)).decode())
    keys, person = Keys(keyring.load(tmp_path)), uuid4()
    await keys.start(db)
    async with db.transaction(TENANT) as tx:
        insert = text("INSERT INTO users (tenant_id, id, name) VALUES (:tenant, :person, 'Dora')")
        await tx.execute(insert, {"tenant": TENANT, "person": person})
    return Office(db, Mail(keys, enabled=True), person, sandbox.smtp_port, database.superuser_url)
