"""The whole product on a port, with Alice signed in at the sandbox's providers and connected to them."""

import asyncio
import base64
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from keybearer.bootstrap.application import create_app
from keybearer.bootstrap.services import Services, open_services
from keybearer.cli import sandbox as sandbox_files
from keybearer.grants.model import Wish
from keybearer.identity.model import Presented
from keybearer.kit import settings as kit_settings
from keybearer.kit.principal import Principal
from keybearer.providers.identity_answer import ProviderIdentity
from keybearer.providers.tokens import TokenAnswer
from keybearer.vault.model import Connection
from keybearer_sandbox.testing import RunningSandbox
from starlette.types import ASGIApp

SCOPES = {
    "spotify": "user-read-private user-read-playback-state user-modify-playback-state",
    "github": "repo read:user",
}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


@dataclass
class Product:
    """A running Keybearer. `environment` holds its settings, as `keybearer up` would write them."""

    services: Services
    environment: dict[str, str]
    url: str
    alice: Principal

    async def connect(self, provider: str, sandbox: RunningSandbox) -> Connection:
        tokens = sandbox.tokens(provider, SCOPES[provider])
        answer = TokenAnswer(
            access_token=tokens["access_token"],
            refresh_token=tokens.get("refresh_token"),
            expires_in=tokens.get("expires_in"),
        )
        identity = ProviderIdentity(
            issuer=f"https://{provider}.example",
            subject=f"alice-at-{provider}",
            email=None,
            email_verified=False,
            name="Alice",
            avatar_url=None,
            account_name="alice",
        )
        async with self.services.db.transaction(self.alice.tenant_id) as tx:
            return await self.services.vault.store(
                tx,
                tenant_id=self.alice.tenant_id,
                user_id=self.alice.user_id,
                provider=self.services.catalogue[provider],
                identity=identity,
                answer=answer,
                requested_scopes=SCOPES[provider].split(),
            )

    async def grant(self, *providers: str) -> tuple[UUID, str]:
        grant, _, token = await self.services.grants.create(self.alice, Wish(agent="DJ", providers=providers))
        return grant.id, token

    async def run(self, *arguments: str, grant: str | None = None, more: dict[str, str] | None = None) -> Finished:
        """A Python program in an environment of its own, with the grant where a program looks for it."""
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **(more or {})}
        if grant is not None:
            environment |= {"KEYBEARER_URL": self.url, "KEYBEARER_GRANT": grant}
        return await finished([sys.executable, *arguments], environment)


async def finished(command: Sequence[str], environment: dict[str, str]) -> Finished:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())


class _Server(uvicorn.Server):
    """Leaves signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def product(database, sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Product]:
    # With its protocol named, asyncio switches Nagle's delay off on what it accepts, as uvloop always does.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    url = f"http://localhost:{listening.getsockname()[1]}"
    sandbox_files.write_provider_files(tmp_path / "providers", sandbox.url)
    environment = {
        "KEYBEARER_PUBLIC_URL": url,
        "KEYBEARER_REQUEST_LIMIT": "1000000/second",
        "KEYBEARER_DATABASE_URL": database.url,
        "KEYBEARER_KEYRING_DIR": str(_keyring(tmp_path / "keyring")),
        "KEYBEARER_SIGNING_KEYRING_DIR": str(_signing(tmp_path / "signing")),
        "KEYBEARER_PROVIDERS_DIR": str(tmp_path / "providers"),
    }
    settings = kit_settings.read(environment)
    with contextlib.closing(listening):
        async with open_services(settings) as services, _served(create_app(settings, services), listening):
            yield Product(services, environment, url, await _alice(services))


@contextlib.asynccontextmanager
async def _served(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    server = _Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def connected(product: Product, sandbox: RunningSandbox) -> Product:
    for provider in SCOPES:
        await product.connect(provider, sandbox)
    return product


async def _alice(services: Services) -> Principal:
    tenant = services.tenancy.default
    presented = Presented(
        provider="google",
        issuer="https://google.example",
        subject="alice",
        email="alice@example.com",
        email_verified=True,
        name="Alice",
        avatar_url=None,
    )
    async with services.db.transaction(tenant.id) as tx:
        user = await services.identities.sign_in(tx, tenant.id, presented)
    now = datetime.now(UTC)
    return Principal(
        tenant_id=tenant.id,
        user_id=user.id,
        session_id=uuid4(),
        email=user.email,
        name=user.name,
        avatar_url=None,
        role=user.role,
        tenant_name=tenant.name,
        expires_at=now + timedelta(hours=1),
        authenticated_at=now,
    )


def _keyring(folder: Path) -> Path:
    folder.mkdir()
    (folder / "primary").write_text("k1")
    (folder / "k1").write_text(base64.b64encode(os.urandom(32)).decode())
    return folder


def _signing(folder: Path) -> Path:
    folder.mkdir()
    (folder / "primary").write_text("s1")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "s1").write_bytes(pem)
    return folder
