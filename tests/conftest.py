"""What every test may ask for."""

import asyncio
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import hypothesis
import pytest
from keybearer.cli import postgres
from keybearer.kit.database import Database
from keybearer.migrations import cluster, runner

# These start browsers and servers. They go first, so that no core waits for one of them at the end.
SLOW_FOLDERS = ("browser", "product", "agent", "fuzz", "vault", "proxy_front", "postgres", "identity", "backups")
# Of those that need a cluster, the longest first, for the same reason.
LONGEST_ON_A_CLUSTER = ("test_rotation", "test_on_a_cluster", "test_backups", "test_updates", "test_life")
_ROOM = 4 << 30
hypothesis.settings.register_profile("keybearer", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("keybearer")
TENANT = UUID("00000000-0000-7000-8000-000000000001")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After the shuffling, which stays as it is within the slow and within the quick ones."""
    for item in items:
        # Schemathesis names an operation in a test's name, which pytest 9.2 leaves out of the node id.
        if not item.nodeid.endswith(item.name):
            item._id = item.parent.id.child(item.name)
        if item.get_closest_marker("cluster") is not None:
            item.add_marker(pytest.mark.enable_socket)  # its API server may be anywhere
    twice = {identifier for identifier, count in Counter(item.nodeid for item in items).items() if count > 1}
    assert not twice, f"xdist would run one of the tests with the same node id: {sorted(twice)}"
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, int]:
    on_a_cluster = item.path.stem in LONGEST_ON_A_CLUSTER and item.get_closest_marker("cluster") is not None
    turn = LONGEST_ON_A_CLUSTER.index(item.path.stem) if on_a_cluster else len(LONGEST_ON_A_CLUSTER)
    return item.path.parent.name not in SLOW_FOLDERS, turn


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """One empty PostgreSQL for the whole session; each test module makes databases of its own in it."""
    careless = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    with (
        tempfile.TemporaryDirectory(prefix="kb-", dir=_memory()) as folder,
        postgres.running(Path(folder), settings=careless) as server,
    ):
        yield server


@dataclass(frozen=True)
class TestDatabase:
    """A migrated database: `url` is the application's login, `owner_url` the migrating one."""

    __test__ = False
    name: str
    url: str
    owner_url: str
    superuser_url: str


@pytest.fixture(scope="session")
def template(postgres_server: postgres.Server) -> TestDatabase:
    """A migrated database that each test copies."""
    database = _named(postgres_server, "keybearer_template")
    asyncio.run(
        cluster.prepare(
            postgres_server.superuser_dsn(),
            database=database.name,
            app_password="app",
            migration_password="migrator",
        )
    )
    asyncio.run(runner.migrate(database.owner_url))
    return database


@pytest.fixture
async def database(postgres_server: postgres.Server, template: TestDatabase) -> AsyncIterator[TestDatabase]:
    """A database of this test's own."""
    database = await _copy(postgres_server, template)
    yield database
    await _drop(postgres_server, database)


@pytest.fixture(scope="module")
def module_database(postgres_server: postgres.Server, template: TestDatabase) -> Iterator[TestDatabase]:
    """A database that the tests of one module share."""
    database = asyncio.run(_copy(postgres_server, template))
    yield database
    asyncio.run(_drop(postgres_server, database))


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    db = Database(database.url)
    yield db
    await db.close()


def _memory() -> str | None:
    """A file system in memory where there is a roomy one: a thousand databases are made and dropped."""
    shared = "/dev/shm"
    return shared if Path(shared).is_dir() and shutil.disk_usage(shared).free > _ROOM else None


async def _copy(server: postgres.Server, template: TestDatabase) -> TestDatabase:
    database = _named(server, f"test_{secrets.token_hex(6)}")
    await _execute(
        server, f"CREATE DATABASE {database.name} TEMPLATE {template.name} STRATEGY file_copy OWNER keybearer_owner"
    )
    return database


async def _drop(server: postgres.Server, database: TestDatabase) -> None:
    await _execute(server, f"DROP DATABASE {database.name} WITH (FORCE)")


async def _execute(server: postgres.Server, statement: str) -> None:
    connection = await asyncpg.connect(server.superuser_dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _named(server: postgres.Server, name: str) -> TestDatabase:
    return TestDatabase(
        name=name,
        url=server.dsn(cluster.APP_LOGIN, "app", name),
        owner_url=server.dsn(cluster.MIGRATION_LOGIN, "migrator", name),
        superuser_url=server.superuser_dsn(name),
    )
