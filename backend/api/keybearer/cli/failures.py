"""How a command fails: one sentence on standard error, exit 1, no traceback for what an operator can mend."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from keybearer.backups.errors import BackupError
from keybearer.cli.postgres import PostgresError
from keybearer.kit.errors import ConfigurationError, KeybearerError
from keybearer.providers.document import ProviderFileError


@contextmanager
def explained() -> Iterator[None]:
    try:
        yield
    except KeybearerError as error:
        typer.echo(f"keybearer: {error.detail} ({error.code})", err=True)
        raise typer.Exit(1) from error
    except (BackupError, ConfigurationError, PostgresError, ProviderFileError) as error:
        typer.echo(f"keybearer: {error}", err=True)
        raise typer.Exit(1) from error
