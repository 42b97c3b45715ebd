"""A small installation in a test's database: people, sealed credentials, sessions, grants, a sealed ledger."""

import base64
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import warm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from keybearer.backups.settling import Domains
from keybearer.cli.main import app
from keybearer.events.service import Events
from keybearer.factors.service import Factors
from keybearer.grants.service import Grants
from keybearer.identity.service import Identities
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.service import Keys
from keybearer.keys.signing import SigningKeyring
from keybearer.kit.breaker import Breakers
from keybearer.kit.database import Database
from keybearer.ledger.background import Sealer
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.lockouts.service import Lockouts
from keybearer.mail.service import Mail
from keybearer.sessions.service import Sessions
from keybearer.signin.service import SignIn
from keybearer.vault.service import Vault
from typer.testing import CliRunner

TENANT = UUID("00000000-0000-7000-8000-000000000001")


@dataclass
class World:
    """`owner` is the migrating login's door, `db` the application's."""

    folder: Path
    database: Any
    db: Database
    owner: Database
    keys: Keys
    signers: SigningKeyring
    people: list[UUID] = field(default_factory=list)
    _superuser: "asyncpg.Connection[Any] | None" = None

    @property
    def archives(self) -> Path:
        return self.folder / "archives"

    def environment(self, **extra: str) -> dict[str, str]:
        """What `keybearer …` needs of it, and nothing of the tests' own."""
        settings = {
            "PUBLIC_URL": "http://localhost:1",
            "DATABASE_URL": self.database.url,
            "MIGRATION_DATABASE_URL": self.database.owner_url,
            "KEYRING_DIR": str(self.folder / "keyring"),
            "SIGNING_KEYRING_DIR": str(self.folder / "signing"),
            **extra,
        }
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return {**kept, **{f"KEYBEARER_{name}": value for name, value in settings.items()}}

    async def person(self, name: str = "Alice", tenant: UUID = TENANT) -> UUID:
        """Somebody with a connection, a session, a grant and an entry in the ledger."""
        person, connection, session, grant = (uuid4() for _ in range(4))
        owner = Owner.user(tenant, person)
        await self.sql(
            "INSERT INTO users (tenant_id, id, name, email) VALUES ($1, $2, $3, $4)",
            tenant, person, name, f"{name.lower()}@example.com",
        )  # fmt: skip
        async with self.db.transaction(tenant) as tx:
            key = await self.keys.ensure(tx, owner)
            detail = {"agent": "DJ\twith\nlines"}
            await Ledger(self.db, self.keys).record(
                tx, Entry(tenant_id=tenant, action="grant.created", user_id=person, detail=detail)
            )
        sealed = {
            column: self.keys.seal_with(key, owner, Place("connections", str(connection), column), secret.encode())
            for column, secret in (("access_token", f"at-{name}"), ("refresh_token", f"rt-{name}"))
        }
        await self.sql(
            "INSERT INTO connections (tenant_id, id, user_id, provider, account_id, account_name, state, scopes,"
            " dek_id, access_token, refresh_token, access_expires_at)"
            " VALUES ($1, $2, $3, 'spotify', $4, $4, 'active', '{play,\"a b\"}', $5, $6, $7, now())",
            tenant, connection, person, name, key.id, sealed["access_token"], sealed["refresh_token"],
        )  # fmt: skip
        await self.sql(
            "INSERT INTO sessions (tenant_id, id, user_id, provider, device, expires_at)"
            " VALUES ($1, $2, $3, 'google', 'Firefox', now() + interval '1 day')", tenant, session, person,
        )  # fmt: skip
        await self.sql(
            "INSERT INTO grants (tenant_id, id, user_id, agent, expires_at)"
            " VALUES ($1, $2, $3, 'DJ', now() + interval '1 day')", tenant, grant, person,
        )  # fmt: skip
        await self.sql("INSERT INTO grant_connections VALUES ($1, $2, $3)", tenant, grant, connection)
        for kind, subject in (("session", session), ("grant", grant)):
            await self.sql(
                "INSERT INTO bearers VALUES ($1, $2, $3, $4, now() + interval '1 day')",
                os.urandom(32), kind, tenant, subject,
            )  # fmt: skip
        self.people.append(person)
        return person

    async def seal(self) -> None:
        await Sealer(self.db, self.signers).run()

    def domains(self, db: Database | None = None) -> Domains:
        """What a restore asks of the other domains, over the owner's door."""
        db = db or self.owner
        ledger, events = Ledger(db, self.keys), Events(db)
        upstream: Any = None
        vault = Vault(db, self.keys, upstream, ledger, events, breakers=Breakers(), owner="restore")
        grants = Grants(db, vault, ledger, events)
        sessions = Sessions(db, ledger, events, upstream, upstream, upstream, upstream, upstream)
        identities = Identities(self.keys, ledger, upstream, "closed")
        factors, lockouts = Factors(db, upstream, upstream, upstream, ledger, upstream), Lockouts(db, ledger, upstream)
        erasers = (
            grants.erase,
            vault.erase,
            factors.erase,
            lockouts.erase,
            Mail(self.keys, enabled=False).erase,
            sessions.erase,
            events.erase,
            identities.erase,
        )
        sign_in = SignIn(db, upstream, upstream, identities, upstream, vault, ledger, upstream, upstream, erasers)
        return Domains(self.keys, ledger, Sealer(db, self.signers), sign_in.erase_again)

    async def sql(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """As the superuser, past every rule. One connection for all, because letting it in takes longer than most."""
        if self._superuser is None or self._superuser.is_closed():
            self._superuser = await superuser(self.database.superuser_url)
        return await self._superuser.fetch(query, *arguments)

    async def close(self) -> None:
        if self._superuser is not None:
            await self._superuser.close()
        await self.db.close()
        await self.owner.close()

    async def one(self, query: str, *arguments: object) -> Any:
        return (await self.sql(query, *arguments))[0][0]


async def superuser(url: str) -> "asyncpg.Connection[Any]":
    return await asyncpg.connect(url, server_settings={"search_path": "keybearer"})


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def command(world: World, *arguments: str, **environment: str) -> Done:
    """`keybearer …` with the installation's settings, in this process, because starting one takes a second or two."""
    strangers = {name: None for name in os.environ if name.startswith("KEYBEARER_")}
    result = CliRunner().invoke(app, arguments, env={**strangers, **world.environment(**environment)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def process(world: World, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The same as an operator runs it."""
    return warm.run(arguments, env=world.environment(**environment))


def make_keys(folder: Path) -> None:
    for name in ("keyring", "signing", "archives"):
        (folder / name).mkdir()
    (folder / "keyring" / "k1").write_text(base64.b64encode(os.urandom(32)).decode())
    (folder / "keyring" / "primary").write_text("k1")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "signing" / "s1").write_bytes(pem)
    (folder / "signing" / "primary").write_text("s1")
