"""A database that a newer version migrated, as after a rollback: served with a warning, and never touched."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from alembic.script import ScriptDirectory
from installation import Installation, installed
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import runner
from keybearer.migrations.runner import Schema

NEWER = "9000"


@pytest.fixture
def installation(tmp_path: Path, database, sandbox) -> Iterator[Installation]:
    with installed(tmp_path, database.url, database.owner_url, sandbox) as made:
        yield made


@pytest.fixture
async def newer(database) -> None:
    await at_schema(database, NEWER)


async def at_schema(database, revision: str) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("UPDATE keybearer.alembic_version SET version_num = $1", revision)
    await connection.close()


def test_revisions_are_numbers_in_order() -> None:
    """By that alone a version knows one that came after it."""
    folder = Path(runner.__file__).parent
    revisions = [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()][::-1]

    assert all(re.fullmatch(r"\d{4}", revision) for revision in revisions)
    assert revisions == sorted(revisions)
    assert revisions[-1] == runner.head()


@pytest.mark.parametrize(
    ("revision", "newer", "good"), [(None, False, False), ("0000", False, False), (NEWER, True, True)]
)
def test_how_a_schema_stands_to_ours(revision: str | None, newer: bool, good: bool) -> None:
    assert Schema(revision).newer is newer
    if good:
        Schema(revision).check()
    else:
        with pytest.raises(ConfigurationError, match="Run `keybearer migrate`"):
            Schema(revision).check()


def test_it_is_served_with_a_warning(newer, installation: Installation) -> None:
    installation.start()
    lines = [json.loads(line) for line in installation.log.read_text().splitlines()]
    told = [line for line in lines if line["event"] == "database.schema_newer"]

    assert [(line["level"], line["schema"], line["needed"]) for line in told] == [("warning", NEWER, runner.head())]


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_migrate_changes_nothing(newer, installation: Installation, arguments: list[str]) -> None:
    done = installation.command("migrate", *arguments)

    assert done.stdout == (f"The database is at a newer schema ({NEWER}) than this version; there is nothing to do.\n")


def test_waiting_ends(newer, installation: Installation) -> None:
    done = installation.command("migrate", "--wait")

    assert done.stdout == f"The database is at schema {NEWER}, which is newer than this version's.\n"


def test_verify_passes_and_says_so(newer, installation: Installation) -> None:
    done = installation.command("verify")

    assert f"ok    database: schema {NEWER} is newer than this version, and is served" in done.stdout


async def test_one_that_is_nobodys_is_not_migrated(database) -> None:
    await at_schema(database, "0000")
    with pytest.raises(ConfigurationError, match="which is none of Keybearer's"):
        await runner.migrate(database.owner_url)
