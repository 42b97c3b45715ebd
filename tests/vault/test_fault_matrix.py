"""Every fault of the sandbox on every way to a refresh: what the person, the agent and the ledger see.

The ways: `lazy` (the token an agent asks for has expired), `forced` (the provider refused a token that should be good),
`ahead` (in the background, before it expires), `manual` (the person pressed the button).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from installation import NO_CERTIFICATES
from keybearer.cli import sandbox as sandbox_files
from keybearer.kit.errors import KeybearerError
from keybearer.kit.outbound import Outbound
from keybearer.providers import catalogue
from keybearer.providers.identity_answer import ProviderIdentity
from keybearer.providers.service import Providers
from keybearer.providers.tokens import read_answer
from keybearer.vault.background import VaultWork

TENANT = UUID("00000000-0000-7000-8000-000000000001")
API = {"spotify": "/spotify/v1/me", "google": "/google/v1/userinfo"}
SCOPES = {"spotify": "user-read-email", "google": "openid email"}
WAYS = [
    "lazy",
    pytest.param("forced", marks=pytest.mark.long),
    pytest.param("ahead", marks=pytest.mark.long),
    pytest.param("manual", marks=pytest.mark.long),
]


@dataclass(frozen=True)
class Seen:
    """`agent`: the error it is told, None for a token that works. `events`: the states that the browser is told."""

    agent: str | None
    state: str
    reason: str | None
    events: tuple[str, ...]
    ledger: tuple[tuple[str, str, str | None], ...]


REFRESHED = Seen(None, "active", None, (), (("connection.refreshed", "ok", None),))


def failed(code: str, outcome: str = "failed", events: tuple[str, ...] = ()) -> Seen:
    return Seen("provider_unavailable", "active", None, events, (("connection.refresh_failed", outcome, code),))


def dead(reason: str) -> Seen:
    ledger = (("connection.needs_reconnect", "failed", reason),)
    return Seen("needs_reconnect", "needs_reconnect", reason, ("needs_reconnect",), ledger)


@dataclass(frozen=True)
class Fault:
    name: str | None
    seen: Seen
    provider: str = "spotify"
    settings: dict[str, Any] = field(default_factory=dict)
    asked: int = 1  # requests to the token endpoint that reached the provider
    call: float = 10.0  # seconds that a token request may take; short only where it is to run out


FAULTS = {
    "none": Fault(None, REFRESHED),
    "invalid_grant": Fault("invalid_grant", dead("invalid_grant"), asked=2),
    "invalid_grant, by mistake": Fault("invalid_grant", REFRESHED, settings={"times": 1}, asked=2),
    "revoke_refresh_tokens": Fault("revoke_refresh_tokens", dead("invalid_grant"), asked=2),
    "invalid_client": Fault("invalid_client", failed("invalid_client", events=("active",))),
    "timeout": Fault("timeout", REFRESHED, settings={"times": 1, "operation": "token"}, asked=2, call=1.5),
    "timeout, for long": Fault(
        "timeout", failed("unknown", "unknown"), settings={"times": 9, "operation": "token"}, asked=4, call=0.5
    ),
    "lost_response, forgiven": Fault("lost_response", REFRESHED, settings={"rotation_grace_seconds": 60}, asked=2),
    "lost_response, for good": Fault("lost_response", dead("rotation_lost"), asked=2),
    "rate_limited": Fault(
        "rate_limited", failed("transient"), settings={"times": 1, "operation": "token", "seconds": 30}
    ),
    "server_error": Fault("server_error", REFRESHED, settings={"times": 1, "operation": "token"}, asked=2),
    "server_error, for long": Fault(
        "server_error", failed("transient"), settings={"times": 9, "operation": "token"}, asked=3
    ),
    "slow": Fault("slow", REFRESHED, settings={"times": 1, "operation": "token", "seconds": 0.2}),
    "rotate": Fault("rotate", REFRESHED),
    "omit_refresh_token": Fault("omit_refresh_token", REFRESHED),
    "expire_access_tokens": Fault("expire_access_tokens", REFRESHED),
    "discovery_unavailable": Fault("discovery_unavailable", failed("transient"), "google", asked=0),
    # An id_token is checked where it says who somebody is, which a refresh does not.
    "bad_signature": Fault("bad_signature", REFRESHED, "google"),
    "wrong_issuer": Fault("wrong_issuer", REFRESHED, "google"),
    "wrong_nonce": Fault("wrong_nonce", REFRESHED, "google"),
}


@pytest.fixture
async def providers(sandbox, tmp_path: Path) -> AsyncIterator[Providers]:
    folder = tmp_path / "providers"
    sandbox_files.write_provider_files(folder, sandbox.url)
    outbound = Outbound([sandbox.url.removeprefix("http://")], tls=NO_CERTIFICATES)
    yield Providers(catalogue.load(folder), outbound)
    await outbound.aclose()


class Trial:
    """One connection at the sandbox, and the ways to refresh it."""

    def __init__(self, world, sandbox, providers: Providers, provider: str, call: float = 10.0) -> None:
        self.world = world
        self.sandbox = sandbox
        self.providers = providers
        self.provider = provider
        self.vault = world.vault(upstream=providers, call=call, lease=2 * call, caller=30.0)
        self.work = VaultWork(world.db, self.vault, "process-0")

    async def connect(self, expires_in: float) -> None:
        document = self.sandbox.tokens(self.provider, SCOPES[self.provider], access_type="offline")
        identity = ProviderIdentity(
            issuer="https://sandbox.test",
            subject="alice",
            email=None,
            email_verified=False,
            name="Alice",
            avatar_url=None,
            account_name="Alice",
        )
        async with self.world.db.transaction(TENANT) as tx:
            self.connection = await self.vault.store(
                tx,
                tenant_id=TENANT,
                user_id=self.world.person,
                provider=self.providers.get_provider(self.provider),
                identity=identity,
                answer=read_answer({**document, "expires_in": expires_in}),
                requested_scopes=(),
            )
        await self.world.sql("UPDATE connections SET last_used_at = now()")

    async def refresh(self, way: str) -> None:
        """Raises what whoever asked is told."""
        match way:
            case "lazy":
                await self.vault.access_token(TENANT, self.connection.id)
            case "forced":
                await self.vault.refresh_now(TENANT, self.connection.id, seen_epoch=self.connection.epoch)
            case "ahead":
                await self.work.refresh_ahead(spread=0.0)
            case "manual":
                await self.vault.refresh_asked(self.world.principal, self.connection.id)

    async def works(self) -> bool:
        """Whether the token that agents get now is one that the provider takes."""
        credential = await self.vault.access_token(TENANT, self.connection.id)
        return self.sandbox.api("GET", API[self.provider], credential.value.removeprefix("Bearer ")).status == 200

    def asked(self) -> int:
        return int(self.sandbox.stats()[self.provider].get("refresh", 0))


async def code_of(attempt) -> str | None:
    try:
        await attempt
    except KeybearerError as error:
        return error.code
    return None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_what_is_seen(world, sandbox, providers, fault: Fault, way: str) -> None:
    trial = Trial(world, sandbox, providers, fault.provider, fault.call)
    await trial.connect(expires_in=0.0 if way == "lazy" else 300.0)
    if fault.name is not None:
        sandbox.control(fault.provider, fault.name, **fault.settings)

    told = await code_of(trial.refresh(way))

    seen = fault.seen
    assert told == (None if way == "ahead" else seen.agent)
    row = await world.row(trial.connection.id)
    assert (row["state"], row["state_reason"]) == (seen.state, seen.reason)
    assert tuple(await world.events()) == seen.events
    assert tuple(await world.ledger()) == seen.ledger
    assert trial.asked() == fault.asked
    assert row["refresh_token"] is not None

    if seen.state == "needs_reconnect":
        assert await code_of(trial.vault.access_token(TENANT, trial.connection.id)) == "needs_reconnect"
    elif seen.agent is None or way != "lazy":
        assert await trial.works()


@pytest.mark.parametrize("name", ["rotate", "omit_refresh_token"])
async def test_the_next_refresh_works_too(world, sandbox, providers, name: str) -> None:
    trial = Trial(world, sandbox, providers, "spotify")
    await trial.connect(expires_in=0.0)
    sandbox.control("spotify", name)
    for _ in range(3):
        await trial.vault.refresh_now(TENANT, trial.connection.id)
        assert await trial.works()
    assert trial.asked() == 3


async def test_a_dead_connection_lives_again_after_a_new_consent(world, sandbox, providers) -> None:
    trial = Trial(world, sandbox, providers, "spotify")
    await trial.connect(expires_in=0.0)
    sandbox.control("spotify", "revoke_refresh_tokens")
    assert await code_of(trial.refresh("lazy")) == "needs_reconnect"
    dead_id = trial.connection.id
    await trial.connect(expires_in=0.0)
    assert trial.connection.id == dead_id
    assert await trial.works()
