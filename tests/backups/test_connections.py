"""A hundred people, a backup, refreshes after it, a restore: what was lost, why, and what the provider saw of it."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from backups.world import TENANT, World
from installation import NO_CERTIFICATES
from keybearer.backups import making, restoring
from keybearer.cli import sandbox as sandbox_files
from keybearer.events.service import Events
from keybearer.kit.breaker import Breakers
from keybearer.kit.errors import KeybearerError
from keybearer.kit.outbound import Outbound
from keybearer.ledger.service import Ledger
from keybearer.providers import catalogue
from keybearer.providers.identity_answer import ProviderIdentity
from keybearer.providers.service import Providers
from keybearer.providers.tokens import read_answer
from keybearer.vault.service import Vault

PEOPLE, ROTATED = 100, 60


@pytest.fixture
async def providers(sandbox, tmp_path: Path) -> AsyncIterator[Providers]:
    folder = tmp_path / "providers"
    sandbox_files.write_provider_files(folder, sandbox.url)
    outbound = Outbound([sandbox.url.removeprefix("http://")], tls=NO_CERTIFICATES)
    yield Providers(catalogue.load(folder), outbound)
    await outbound.aclose()


def vault_of(world: World, providers: Providers) -> Vault:
    ledger = Ledger(world.db, world.keys)
    return Vault(world.db, world.keys, providers, ledger, Events(world.db), breakers=Breakers(), owner=str(uuid4()))


async def connect(world: World, vault: Vault, providers: Providers, sandbox) -> UUID:
    """Somebody with an account at the provider, whose access token ran out."""
    person = uuid4()
    await world.sql("INSERT INTO users (tenant_id, id, name) VALUES ($1, $2, 'Alice')", TENANT, person)
    identity = ProviderIdentity(
        issuer="https://sandbox.test", subject="alice", email=None, email_verified=False, name="Alice",
        avatar_url=None, account_name="Alice",
    )  # fmt: skip
    async with world.db.transaction(TENANT) as tx:
        connection = await vault.store(
            tx,
            tenant_id=TENANT,
            user_id=person,
            provider=providers.get_provider("spotify"),
            identity=identity,
            answer=read_answer({**sandbox.tokens("spotify", "user-modify-playback-state"), "expires_in": 1}),
            requested_scopes=(),
        )
    return connection.id


async def tried(vault: Vault, connections: list[UUID]) -> Counter[str]:
    seen: Counter[str] = Counter()
    for connection in connections:
        try:
            await vault.access_token(TENANT, connection)
        except KeybearerError as error:
            seen[f"{error.code}: {error.extra['reason']}"] += 1
        else:
            seen["works"] += 1
    return seen


async def test_only_tokens_that_were_rotated_since_are_lost_and_each_is_shown_once(
    world: World, target: World, providers: Providers, sandbox
) -> None:
    sandbox.control("spotify", "rotate")
    vault = vault_of(world, providers)
    connections = [await connect(world, vault, providers, sandbox) for _ in range(PEOPLE)]
    path = (await making.make(world.owner, world.keys, world.archives)).path
    assert await tried(vault, connections[:ROTATED]) == {"works": ROTATED}
    before = sandbox.stats()["spotify"]
    assert before["refresh"] == ROTATED

    restored = await restoring.restore(target.owner, target.domains(), path, ())
    assert restored.settled.unverified == PEOPLE
    assert sandbox.stats()["spotify"]["refresh"] == ROTATED  # restoring itself asks nobody

    after = vault_of(target, providers)
    assert await tried(after, connections) == {
        "needs_reconnect: rotation_lost": ROTATED,
        "works": PEOPLE - ROTATED,
    }
    assert await tried(after, connections) == {
        "needs_reconnect: rotation_lost": ROTATED,
        "works": PEOPLE - ROTATED,
    }
    stats = sandbox.stats()["spotify"]
    assert stats["refresh"] - ROTATED == PEOPLE  # one call for each, lost or not
    assert stats["refresh_succeeded"] - before["refresh_succeeded"] == PEOPLE - ROTATED
    assert stats.get("revoke", 0) == 0
    recorded = await target.sql("SELECT action, code, count(*) FROM ledger WHERE era = 2 GROUP BY 1, 2")
    assert {(row[0], row[1]): row[2] for row in recorded} == {
        ("installation.restored", None): 1,
        ("connection.needs_reconnect", "rotation_lost"): ROTATED,
        ("connection.refreshed", None): PEOPLE - ROTATED,
    }
    assert await target.one("SELECT count(*) FROM connections WHERE unverified") == 0
    await vault.stop()
    await after.stop()
